"""Policy files: YAML at the edge, frozen domain types behind it. A bad file is refused with its
path and the reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inyeon.moderation.domain.observation import CLASSES
from inyeon.moderation.domain.policy import (
    Bank,
    Clearing,
    KOfN,
    Mark,
    PartnerTrust,
    Policy,
    Rule,
    SecondOpinion,
)
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import PolicyRefused

MAX_BYTES = 65_536  # the shipped policy needs 4 KiB; the document travels in one log record

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
ClassName = Literal["Drawing", "Hentai", "Neutral", "Porn", "Sexy"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Reason = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy and the bytes it was read from."""

    policy: Policy
    document: bytes


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class _KOfN(_Shape):
    k: int = Field(ge=2, le=64)
    n: int = Field(ge=2, le=64)

    @model_validator(mode="after")
    def _in_order(self) -> _KOfN:
        if self.k > self.n:
            raise ValueError("k must not be above n")
        return self


class _Rule(_Shape):
    name: Name
    reason: Reason
    classes: tuple[ClassName, ...] = Field(min_length=1)
    threshold: Share
    then: Literal["PROTECT", "UNSURE"]
    dwell_s: Seconds | None = None
    k_of_n: _KOfN | None = None
    decay: float = Field(default=1.0, gt=0, le=100, allow_inf_nan=False)
    windows_at_least: int = Field(default=2, ge=2, le=64)
    frames_at_least: int = Field(default=2, ge=2, le=10_000)
    unsure_from: Share
    unsure_dwell_s: Seconds | None = None
    agreement: Share = 1.0

    @model_validator(mode="after")
    def _fits(self) -> _Rule:
        if self.dwell_s is None and self.k_of_n is None:
            raise ValueError("needs dwell_s, k_of_n or both")
        if self.unsure_from > self.threshold:
            raise ValueError("unsure_from must not be above threshold")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must differ")
        return self

    def build(self) -> Rule:
        values = self.model_dump(exclude={"classes", "then", "k_of_n"})
        return Rule(
            **values,
            classes=tuple(CLASSES.index(name) for name in self.classes),
            then=Verdict[self.then],
            k_of_n=KOfN(self.k_of_n.k, self.k_of_n.n) if self.k_of_n else None,
        )


class _Clearing(_Shape):
    clear_s: Seconds = 5.0
    first_clear_s: Seconds = 2.0
    windows_at_least: int = Field(default=2, ge=2, le=64)
    needs_presence: bool = True
    longest_credit_s: float = Field(default=2.0, gt=0, le=60, allow_inf_nan=False)
    silence_s: Seconds = 5.0


class _Partner(_Shape):
    hot_s: Seconds = 3.0
    step: Share = 0.25
    recover_per_s: float = Field(default=0.002, ge=0, le=1, allow_inf_nan=False)
    escalate_below: Share = 0.6


class _Bank(_Shape):
    name: Name
    threshold: Share
    reasons: tuple[Reason, ...] = Field(min_length=1, max_length=64)


class _Mark(_Shape):
    name: Name
    reason: Reason
    classes: tuple[ClassName, ...] = Field(min_length=1)
    protect_from: Share
    clear_below: Share

    @model_validator(mode="after")
    def _fits(self) -> _Mark:
        if self.clear_below > self.protect_from:
            raise ValueError("clear_below must not be above protect_from")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must differ")
        return self

    def build(self) -> Mark:
        return Mark(**self.model_dump())


class _SecondOpinion(_Shape):
    banks: tuple[_Bank, ...] = Field(default=(), max_length=64)
    head: tuple[_Mark, ...] = Field(default=(), max_length=16)
    image: tuple[_Mark, ...] = Field(default=(), max_length=16)
    evidence: bool = False
    evidence_expires_s: float = Field(default=30.0, ge=1, le=300, allow_inf_nan=False)

    @model_validator(mode="after")
    def _distinct(self) -> _SecondOpinion:
        for what, items in (("banks", self.banks), ("head", self.head), ("image", self.image)):
            if len({item.name for item in items}) != len(items):
                raise ValueError(f"{what} must have different names")
        reasons = [reason for bank in self.banks for reason in bank.reasons]
        if len(set(reasons)) != len(reasons):
            raise ValueError("a reason leads to one bank")
        if self.evidence and not self.image:
            raise ValueError("evidence needs marks for the image models")
        return self

    def build(self) -> SecondOpinion:
        return SecondOpinion(
            banks=tuple(Bank(**bank.model_dump()) for bank in self.banks),
            head=tuple(mark.build() for mark in self.head),
            image=tuple(mark.build() for mark in self.image),
            evidence=self.evidence,
            evidence_expires_s=self.evidence_expires_s,
        )


class _File(_Shape):
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    rules: tuple[_Rule, ...] = Field(min_length=1, max_length=64)
    clearing: _Clearing = _Clearing()
    partner: _Partner = _Partner()
    end_match_after_s: float | None = Field(default=None, ge=0, le=3600, allow_inf_nan=False)
    cover_at: dict[ClassName, Share] = {}
    second_opinion: _SecondOpinion = _SecondOpinion()

    @model_validator(mode="after")
    def _distinct(self) -> _File:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("rules must have different names")
        return self


def read_policy(path: Path) -> PolicyFile:
    """Reads a policy file. Raises PolicyRefused naming the path, the place in the file and the
    reason."""
    try:
        document = path.read_bytes()
    except OSError as error:
        raise PolicyRefused(f"{path}: {error.strerror or error}", field=str(path)) from error
    return parse_policy(document, str(path))


def parse_policy(document: bytes, source: str) -> PolicyFile:
    """The same for bytes; `source` names them in errors."""
    if len(document) > MAX_BYTES:
        raise PolicyRefused(f"{source}: {len(document)} bytes, at most {MAX_BYTES}", field=source)
    try:
        shape = _File.model_validate(yaml.safe_load(document))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise PolicyRefused(f"{source}: not YAML: {why}", field=source) from error
    except ValidationError as error:
        raise PolicyRefused(f"{source}: {_first(error)}", field=source) from error
    return PolicyFile(_build(shape, document), document)


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in found["loc"]) or "file"
    return f"{place}: {found['msg']}"


def _build(shape: _File, document: bytes) -> Policy:
    return Policy(
        name=shape.name,
        version=f"{shape.name}-{hashlib.sha256(document).hexdigest()[:12]}",
        rules=tuple(rule.build() for rule in shape.rules),
        clearing=Clearing(**shape.clearing.model_dump()),
        partner=PartnerTrust(**shape.partner.model_dump()),
        end_match_after_s=shape.end_match_after_s,
        cover_at={str(name): at for name, at in shape.cover_at.items()},
        opinions=shape.second_opinion.build(),
    )
