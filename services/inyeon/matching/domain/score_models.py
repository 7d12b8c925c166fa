"""Which numbers a score is made of: immutable, versioned, activated and taken back at once.

score = meeting + sum of weight * term, every term in [0, 1]. What a term may be is listed here;
sensitive attributes are refused by name, so that no file can bring them in.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.refusals import Refused

Exact = NDArray[np.float64]

MAX_WEIGHT = 4.0
MAX_MODELS = 256
KEPT_ACTIVATIONS = 16
"""Activations that can be taken back, one after the other."""
_VERSION = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}")
_TOKEN = re.compile(r"[a-z0-9]+")
SENSITIVE = frozenset(
    {
        "age", "birth", "birthday", "birthdate", "born", "caste", "citizenship", "color", "colour",
        "country", "countries", "disability", "education", "ethnic", "ethnicity", "faith", "female",
        "gender", "genders", "health", "income", "male", "minor", "nationality", "orientation",
        "origin", "political", "politics", "pregnancy", "race", "racial", "religion", "religious",
        "salary", "sex", "sexual", "sexuality", "skin", "wealth", "zip", "zipcode",
    }
)  # fmt: skip
"""Words that no term's name may hold: what people are must not decide how well they are served."""


class Term(StrEnum):
    """What a score may look at, each in [0, 1]."""

    INTERESTS = "interests"
    """max(0, cosine) of two interest vectors of one space, else 0."""
    LANGUAGE = "language"
    """Best common level / 5, or TRANSLATED."""
    WAITING = "waiting"
    """Mean of both waiting times, each capped, over the cap."""
    SESSION = "session"
    """How far both people's recent taste points to the other; 0.5 says nothing."""
    LENGTH = "length"
    """Predicted conversation length over its cap."""


class ScoreModelRefused(Refused):
    """A description cannot be taken. `field` names the part, `reason` is a code."""


@dataclass(frozen=True, slots=True)
class ScoreModel:
    """One version of the score. Raises ScoreModelRefused: VERSION, SENSITIVE_FEATURE,
    UNKNOWN_FEATURE, WEIGHT or EMPTY."""

    version: str
    meeting: float
    """What it is worth that two people meet at all, above 0 to 4."""
    weights: Mapping[str, float]
    """Of each Term that counts, 0 to 4; the rest is 0."""
    note: str = ""
    """Where it comes from, for people."""

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ScoreModelRefused("version", "VERSION", f"{self.version!r}: a-z, 0-9, . and -")
        for name, weight in self.weights.items():
            check_feature(name, f"weights.{name}")
            _check_weight(weight, f"weights.{name}", least=0.0)
        _check_weight(self.meeting, "meeting", least=math.ulp(0.0))
        if not any(self.weights.values()):
            raise ScoreModelRefused("weights", "EMPTY", "every pair would be as good as any other")
        object.__setattr__(self, "weights", dict(sorted(self.weights.items())))

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def max_score(self) -> float:
        """Of a pair that has everything."""
        return self.meeting + math.fsum(self.weights.values())

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of what counts; the note does not."""
        numbers = json.dumps([self.version, self.meeting, dict(self.weights)], sort_keys=True)
        return hashlib.sha256(numbers.encode()).hexdigest()[:16]

    def weight(self, term: Term) -> float:
        """0 where it does not count."""
        return self.weights.get(term, 0.0)

    def score(self, terms: Mapping[Term, Exact]) -> Exact:
        """(n,) scores in [meeting, max_score] of terms (n,) each; a term that counts must be there.

        What is not a number counts as 0 and what is outside [0, 1] as its end: one broken vector
        must not decide about everybody. Raises ScoreModelRefused TERM_MISSING."""
        total = np.asarray(self.meeting)
        for name, weight in self.weights.items():
            if not weight:
                continue
            values = terms.get(Term(name))
            if values is None:
                raise ScoreModelRefused(f"terms.{name}", "TERM_MISSING", "has a weight, no values")
            total = total + weight * np.clip(np.nan_to_num(values, posinf=0.0, neginf=0.0), 0, 1)
        return total


def check_feature(name: str, field: str) -> Term:
    """The term of that name. Raises ScoreModelRefused SENSITIVE_FEATURE or UNKNOWN_FEATURE."""
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    held = SENSITIVE.intersection(_TOKEN.findall(spelled))
    if held:
        raise ScoreModelRefused(field, "SENSITIVE_FEATURE", f"{sorted(held)[0]} is never an input")
    try:
        return Term(name)
    except ValueError:
        known = ", ".join(Term)
        raise ScoreModelRefused(field, "UNKNOWN_FEATURE", f"{name!r} is none of {known}") from None


def _check_weight(weight: object, field: str, least: float) -> None:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ScoreModelRefused(field, "WEIGHT", f"{weight!r} is no number")
    if not least <= weight <= MAX_WEIGHT:
        raise ScoreModelRefused(field, "WEIGHT", f"{weight} is not within 0 and {MAX_WEIGHT:g}")


LINEAR_1 = ScoreModel(
    "linear-1", 0.5, {Term.INTERESTS: 1.0, Term.LANGUAGE: 0.25, Term.WAITING: 0.25}, "by hand"
)
"""The first score, as in scoring.py."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Known versions and which of them counts. Never changes: every verb gives a new one, so that a
    wave that holds one is not disturbed.

    Raises ScoreModelRefused: UNKNOWN_VERSION, VERSION_TAKEN, TOO_MANY or NOTHING_ACTIVE."""

    models: tuple[ScoreModel, ...] = (LINEAR_1,)
    activations: tuple[str, ...] = (LINEAR_1.version,)
    """Versions that counted, the one that counts last."""

    def __post_init__(self) -> None:
        versions = [model.version for model in self.models]
        if len(set(versions)) < len(versions):
            raise ScoreModelRefused("models", "VERSION_TAKEN", "a version is there twice")
        if len(versions) > MAX_MODELS:
            raise ScoreModelRefused("models", "TOO_MANY", f"more than {MAX_MODELS}")
        if not self.activations:
            raise ScoreModelRefused("activations", "NOTHING_ACTIVE", "no version counts")
        for version in self.activations:
            self.model(version)

    @property
    def active(self) -> ScoreModel:
        """The version that counts."""
        return self.model(self.activations[-1])

    def model(self, version: str) -> ScoreModel:
        """Raises ScoreModelRefused UNKNOWN_VERSION."""
        for model in self.models:
            if model.version == version:
                return model
        raise ScoreModelRefused("version", "UNKNOWN_VERSION", f"{version!r} is not registered")

    def added(self, model: ScoreModel) -> Registry:
        """With one more version, not active. The same one again changes nothing; another one under
        a taken name is refused with VERSION_TAKEN: what was logged must stay what it was."""
        for known in self.models:
            if known.version == model.version:
                if known.digest != model.digest:
                    raise ScoreModelRefused(
                        "version", "VERSION_TAKEN", f"{model.version!r} has other numbers"
                    )
                return self
        return replace(self, models=(*self.models, model))

    def activated(self, version: str) -> Registry:
        """That version counts from now on."""
        self.model(version)
        if version == self.activations[-1]:
            return self
        return replace(self, activations=(*self.activations, version)[-KEPT_ACTIVATIONS:])

    def rolled_back(self) -> Registry:
        """The version before counts again. Raises ScoreModelRefused NOTHING_BEFORE."""
        if len(self.activations) < 2:
            raise ScoreModelRefused("activations", "NOTHING_BEFORE", "no version counted before")
        return replace(self, activations=self.activations[:-1])
