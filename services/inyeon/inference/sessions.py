"""The seam to matching's session encoder: outcomes of a person's conversations in, taste out.

It belongs to no bank, head or picture, so it is a port of its own beside `Inference`. Adapters: the
recipe in this process, and `sessions_triton` on tritonserver; `open_session_encoder` gives what the
settings ask for. Whoever gets no answer keeps the state they have: it grows older, nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inyeon.inference import session_recipe as recipe
from inyeon.inference.errors import unavailable
from inyeon.inference.port import SpaceId
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest

MAX_QUESTIONS = recipe.BATCH
MAX_TALKS = recipe.TALKS
_UNIT = 1e-3
"""A direction's length may be off 1 by so much: float16 has three digits."""

Exact = NDArray[np.float64]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """What conversations say so far; matching's `SessionVector` has the same fields."""

    total: Exact
    """(dims,) sum of count * direction."""
    counted: float
    talks: float
    logs: float
    at_s: float
    """Seconds of the caller's clock."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionTalk:
    """One conversation that is over. Nothing of what was said or seen."""

    partner: Float
    """(dims,) direction of the partner's declared interests, length 1."""
    length_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SessionQuestion:
    """One person's: what was known and what came since, in order; 1 to MAX_TALKS conversations."""

    space: SpaceId
    before: SessionState | None
    talks: tuple[SessionTalk, ...]


class SessionEncoder(Protocol):
    """Encodes sessions. Safe to use from many tasks of one loop."""

    @property
    def model(self) -> str:
        """name@version of the recipe behind every answer."""
        ...

    async def encode(
        self, questions: Sequence[SessionQuestion], budget_s: float
    ) -> tuple[SessionState, ...]:
        """A state for each of 1 to MAX_QUESTIONS questions, all of one space, within `budget_s`
        seconds.

        Raises InvalidRequest (field says what), Unavailable (nobody answers, or was not asked
        because nobody did lately), DeadlineExceeded, Overloaded, ModelFailed.
        """
        ...

    async def close(self) -> None:
        """Ends what was opened. Closing twice does nothing."""
        ...


class InProcessSessionEncoder:
    """The recipe in this process: a full batch of 64 dimensions takes about a millisecond, on a
    thread, so that streams are not held up."""

    def __init__(self) -> None:
        self._closed = False

    @property
    def model(self) -> str:
        """As SessionEncoder says."""
        return recipe.NAME

    async def encode(
        self, questions: Sequence[SessionQuestion], budget_s: float
    ) -> tuple[SessionState, ...]:
        """As SessionEncoder says."""
        check(questions, budget_s)
        if self._closed:
            raise unavailable("the session encoder is closed")
        try:
            async with asyncio.timeout(budget_s):
                return states(await asyncio.to_thread(recipe.encode, *rows(questions)))
        except TimeoutError as error:
            raise DeadlineExceeded(f"no session was encoded in {budget_s:.3f} s") from error

    async def close(self) -> None:
        """As SessionEncoder says."""
        self._closed = True


def check(questions: Sequence[SessionQuestion], budget_s: float) -> None:
    """What every encoder refuses. Raises InvalidRequest, DeadlineExceeded."""
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise InvalidRequest(f"1 to {MAX_QUESTIONS} questions at once", field="questions")
    for question in questions:
        if question.space != questions[0].space:
            raise InvalidRequest("questions of one call are of one space", field="space")
        _check(question)
    if not budget_s > 0.0:
        raise DeadlineExceeded("no time is left to encode sessions")


def rows(questions: Sequence[SessionQuestion]) -> tuple[Exact, Exact, Float]:
    """`before`, `talks` and `partners`, as the recipe takes them."""
    count, dims = len(questions), questions[0].space.dims
    before = np.zeros((count, dims + recipe.SUMS))
    talks = np.zeros((count, MAX_TALKS, 2))
    partners = np.zeros((count, MAX_TALKS, dims), np.float32)
    for row, question in enumerate(questions):
        if (known := question.before) is not None:
            before[row] = [*known.total, known.counted, known.talks, known.logs, known.at_s]
        for number, talk in enumerate(question.talks):
            talks[row, number] = talk.ended_s, talk.length_s
            partners[row, number] = talk.partner
    return before, talks, partners


def states(encoded: Exact) -> tuple[SessionState, ...]:
    """From rows (n, dims + 4)."""
    return tuple(
        SessionState(row[: -recipe.SUMS], *row[-recipe.SUMS :].tolist()) for row in encoded
    )


def _check(question: SessionQuestion) -> None:
    if not 1 <= len(question.talks) <= MAX_TALKS:
        raise InvalidRequest(f"1 to {MAX_TALKS} conversations at once", field="talks")
    shape = (question.space.dims,)
    for talk in question.talks:
        if talk.partner.shape != shape or not abs(np.linalg.norm(talk.partner) - 1.0) < _UNIT:
            raise InvalidRequest(f"not {shape[0]} numbers of length 1", field="partner")
        if not np.isfinite([talk.length_s, talk.ended_s]).all() or talk.length_s < 0.0:
            raise InvalidRequest("times are finite, lengths not negative", field="talks")
    known = question.before
    if known is None:
        return
    sums = (known.counted, known.talks, known.logs, known.at_s)
    if known.total.shape != shape or not np.isfinite([*known.total, *sums]).all():
        raise InvalidRequest(f"not a state of {shape[0]} dimensions", field="before")
