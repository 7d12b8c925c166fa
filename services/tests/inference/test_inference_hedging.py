"""Two may answer."""

from __future__ import annotations

import asyncio

import pytest

from inyeon.inference.errors import unavailable
from inyeon.inference.hedging import first_answer
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import Overloaded, Unavailable

pytestmark = pytest.mark.unit

LONG_S = 20.0


async def _say(what: str) -> str:
    return what


async def _fail() -> str:
    raise unavailable("away")


async def _hang(cancelled: list[str]) -> str:
    try:
        await asyncio.Event().wait()
    finally:
        cancelled.append("hung")
    return "never"


async def test_the_spare_is_not_asked_when_the_first_answers() -> None:
    asked: list[float] = []

    async def spare(left_s: float) -> str:
        asked.append(left_s)
        return "spare"

    assert await first_answer(lambda: _say("first"), spare, LONG_S, SystemClock()) == "first"
    assert asked == []


async def test_the_spare_answers_at_once_when_the_first_fails() -> None:
    answer = await first_answer(_fail, lambda _: _say("spare"), LONG_S, SystemClock())
    assert answer == "spare"


async def test_the_spare_answers_when_the_first_is_slow_and_the_first_is_cancelled() -> None:
    cancelled: list[str] = []
    answer = await first_answer(
        lambda: _hang(cancelled), lambda _: _say("spare"), 0.02, SystemClock()
    )
    assert answer == "spare"
    assert cancelled == ["hung"]


async def test_a_slow_first_still_wins_over_a_spare_that_fails() -> None:
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return "first"

    async def spare(left_s: float) -> str:
        go.set()
        raise unavailable("the spare too")

    assert await first_answer(slow, spare, 0.02, SystemClock()) == "first"


async def test_where_both_fail_the_error_of_the_first_is_told() -> None:
    async def spare(left_s: float) -> str:
        raise Overloaded("the spare is full")

    with pytest.raises(Unavailable, match="away"):
        await first_answer(_fail, spare, LONG_S, SystemClock())


async def test_a_defect_is_not_hedged() -> None:
    async def broken() -> str:
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        await first_answer(broken, lambda _: _say("spare"), LONG_S, SystemClock())


async def test_a_caller_that_leaves_cancels_both() -> None:
    cancelled: list[str] = []

    both = asyncio.Event()

    async def spare(left_s: float) -> str:
        both.set()
        return await _hang(cancelled)

    task = asyncio.ensure_future(first_answer(lambda: _hang(cancelled), spare, 0.01, SystemClock()))
    async with asyncio.timeout(5):
        await both.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == ["hung", "hung"]
