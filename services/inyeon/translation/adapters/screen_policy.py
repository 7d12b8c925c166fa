"""The screen's policy file: YAML at the edge, frozen domain types behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inyeon.runtime.errors import SettingsRefused
from inyeon.translation.domain.languages import LANGUAGES
from inyeon.translation.domain.screening import Action, Policy, Rule

MAX_BYTES = 65_536

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Reason = Annotated[str, Field(pattern=r"^TEXT_[A-Z0-9_]{1,59}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Shape):
    reason: Reason
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    mask: Share | None = None
    withhold: Share | None = None
    escalate: Share | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.mask is not None and self.withhold is not None and self.withhold < self.mask:
            raise ValueError("withhold must not be below mask")
        return self

    def rule(self) -> Rule:
        return Rule(self.reason, self.classes, self.mask, self.withhold, self.escalate)


Rules = Annotated[tuple[_Rule, ...], Field(min_length=1, max_length=32)]


class _File(_Shape):
    version: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,32}$")]
    model: str
    model_version: str
    unscreened: Literal["allow", "mask"] = "allow"
    rules: Rules
    languages: dict[str, Rules] = {}

    @model_validator(mode="after")
    def _languages_are_ours(self) -> Self:
        if unknown := sorted(set(self.languages) - set(LANGUAGES)):
            raise ValueError(f"languages: {unknown} are none of the 19")
        return self


def read_screen_policy(path: Path) -> Policy:
    """The policy in a file. Its version carries a digest of the file, so that two files of one name
    stay apart. Raises SettingsRefused (SCREEN_POLICY) naming the file and what is wrong."""
    try:
        document = path.read_bytes()
        if len(document) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        read = _File.model_validate(yaml.safe_load(document))
    except (OSError, ValueError, yaml.YAMLError, ValidationError) as error:
        raise _refused(f"{path}: {error}") from error
    return Policy(
        version=f"{read.version}+{hashlib.sha256(document).hexdigest()[:8]}",
        model=read.model,
        model_version=read.model_version,
        rules=_rules(read.rules),
        languages={language: _rules(rules) for language, rules in read.languages.items()},
        unscreened=Action[read.unscreened.upper()],
    )


def check_fits(policy: Policy, model: str, version: str, classes: Sequence[str]) -> None:
    """Raises SettingsRefused (SCREEN_POLICY) where the thresholds were chosen for another model, or
    a rule names a class that it does not have."""
    if (policy.model, policy.model_version) != (model, version):
        wanted = f"{policy.model} {policy.model_version}"
        raise _refused(f"the screen policy is for {wanted}, the model is {model} {version}")
    rules = (*policy.rules, *(rule for own in policy.languages.values() for rule in own))
    if unknown := {name for rule in rules for name in rule.classes} - set(classes):
        raise _refused(f"the screen policy names classes {sorted(unknown)}, not of {model}")


def _rules(rules: Sequence[_Rule]) -> tuple[Rule, ...]:
    return tuple(rule.rule() for rule in rules)


def _refused(message: str) -> SettingsRefused:
    return SettingsRefused(message, reason="SCREEN_POLICY", field="screen_policy")
