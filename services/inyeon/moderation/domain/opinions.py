"""Second opinions: what heavier models say about an escalation, and what the policy makes of it.

A model's opinion alone never sanctions. PROTECT covers a picture, which is reversible and costs
nobody anything, and always opens a case; CLEAR only shortens the way back; UNSURE and no answer
leave the device's verdict as it is and wait for a person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.policy import Mark, SecondOpinion
from inyeon.moderation.domain.verdict import Verdict

BANK_MATCH = "BANK_MATCH"
HEAD_QUIET = "HEAD_QUIET"
HEAD_UNSURE = "HEAD_UNSURE"
IMAGE_QUIET = "IMAGE_QUIET"
IMAGE_UNSURE = "IMAGE_UNSURE"
MODELS_UNAVAILABLE = "MODELS_UNAVAILABLE"
MODEL_FAILED = "MODEL_FAILED"
TEXT_FLAGGED = "TEXT_FLAGGED"
UNDECIDED = frozenset({HEAD_UNSURE, IMAGE_UNSURE, TEXT_FLAGGED})
"""Reasons that say no more than the escalation itself."""

VOTES_AT_LEAST = 2  # one image model alone moves nothing
_SUM_MARGIN = 0.01  # probabilities of float32 sum to 1 within this


class Source(Enum):
    """Who has an opinion."""

    EMBEDDING = "embedding"
    IMAGE = "image"
    TEXT = "text"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True)
class Escalated:
    """An escalation as the log has it."""

    escalation_id: str
    user_id: str
    session_id: str
    match_id: str
    reason: str
    policy_version: str
    raised_at: datetime
    embedding: Embedding | None = None
    """Kept with the case that it may open."""
    refusal: str = ""
    """Why the embedding cannot be judged, such as EMBEDDING_MISSING; empty: it can."""
    text: Mapping[str, float] | None = None
    """Class scores of a sentence, where a text screen raised it; the sentence is not here."""
    text_model: str = ""


@dataclass(frozen=True, slots=True)
class Similar:
    """The nearest entry of one bank; `similarity` is the cosine."""

    bank: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What the policy makes of the models' answers."""

    verdict: Verdict
    """CLEAR, UNSURE or PROTECT."""
    reason: str
    confidence: float
    """[0, 1]."""
    models: tuple[str, ...] = ()
    degraded: bool = False
    """Nobody answered, or not with an answer: the device's verdict stands."""

    @property
    def needs_person(self) -> bool:
        """A case waits for a person: to confirm a protection, or to decide what models could
        not."""
        return self.verdict is not Verdict.CLEAR

    def text(self) -> str:
        """One line for people."""
        if self.degraded:
            return f"no second opinion: {self.reason}"
        by = ", ".join(self.models) or "nobody"
        return f"second opinion {self.reason} at {self.confidence:.2f} by {by}"


@dataclass(frozen=True, slots=True)
class Opinion:
    """A second opinion on one escalation."""

    opinion_id: str
    escalation_id: str
    user_id: str
    session_id: str
    source: Source
    judged: Judged
    raised_at: datetime
    given_at: datetime


def no_answer(reason: str, models: Sequence[str] = ()) -> Judged:
    """The models did not answer, or gave what is no answer."""
    return Judged(Verdict.UNSURE, reason, 0.0, tuple(models), degraded=True)


def unjudged(reason: str) -> Judged:
    """There is nothing that models could be asked about: a person decides. The models are well."""
    return Judged(Verdict.UNSURE, reason, 0.0)


def by_embedding(
    rules: SecondOpinion,
    similar: Sequence[Similar],
    scores: Mapping[str, float],
    models: Sequence[str],
) -> Judged:
    """A bank's match first, then the head's marks. A bank that the policy does not name is left
    out."""
    asked = tuple(models)
    if not _whole(scores, rules.head) or not all(_cosine(hit.similarity) for hit in similar):
        return no_answer(MODEL_FAILED, asked)
    marks = {bank.name: bank.threshold for bank in rules.banks}
    hits = [hit.similarity for hit in similar if hit.similarity >= marks.get(hit.bank, math.inf)]
    if hits:
        return Judged(Verdict.PROTECT, BANK_MATCH, min(1.0, max(hits)), asked)
    return _by_marks(rules.head, [scores], asked, HEAD_QUIET, HEAD_UNSURE)


def by_images(
    rules: SecondOpinion, votes: Sequence[Mapping[str, float]], models: Sequence[str]
) -> Judged:
    """All image models must agree, at least two of them: on one mark to protect, on all of them to
    clear."""
    asked = tuple(models)
    if len(votes) < VOTES_AT_LEAST or not all(_whole(vote, rules.image) for vote in votes):
        return no_answer(MODEL_FAILED, asked)
    return _by_marks(rules.image, votes, asked, IMAGE_QUIET, IMAGE_UNSURE)


def by_text(scores: Mapping[str, float], model: str) -> Judged:
    """The text-safety head has spoken when it escalated: a person decides. Words never cover a
    picture."""
    finite = [score for score in scores.values() if 0.0 <= score <= 1.0]
    return Judged(Verdict.UNSURE, TEXT_FLAGGED, max(finite, default=0.0), (model,))


def _by_marks(
    marks: Sequence[Mark],
    votes: Sequence[Mapping[str, float]],
    models: tuple[str, ...],
    quiet: str,
    unsure: str,
) -> Judged:
    lowest = [(min(mark.value(vote) for vote in votes), mark) for mark in marks]
    over = [(value, mark.reason) for value, mark in lowest if value >= mark.protect_from]
    if over:
        value, reason = max(over)
        return Judged(Verdict.PROTECT, reason, min(1.0, value), models)
    highest = [(max(mark.value(vote) for vote in votes), mark) for mark in marks]
    most = min(1.0, max((value for value, _ in highest), default=0.0))
    if marks and all(value < mark.clear_below for value, mark in highest):
        return Judged(Verdict.CLEAR, quiet, 1.0 - most, models)
    return Judged(Verdict.UNSURE, unsure, most, models)


def _whole(scores: Mapping[str, float], marks: Sequence[Mark]) -> bool:
    """Probabilities of all classes that are asked about, summing to 1."""
    values = list(scores.values())
    if not all(0.0 <= value <= 1.0 + _SUM_MARGIN for value in values):  # refuses NaN too
        return False
    named = all(name in scores for mark in marks for name in mark.classes)
    return named and abs(sum(values) - 1.0) <= _SUM_MARGIN


def _cosine(value: float) -> bool:
    return -1.0 - _SUM_MARGIN <= value <= 1.0 + _SUM_MARGIN
