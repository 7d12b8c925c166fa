"""Questions of one turn go together; what happens to one asker is not the others' business."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from inyeon.inference.gathering import Gathering
from inyeon.runtime.errors import Unavailable

pytestmark = pytest.mark.unit


class Model:
    """Doubles numbers, once it may."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], float]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.failure: Exception | None = None

    async def __call__(self, questions: Sequence[int], budget_s: float) -> list[int]:
        self.asked.append((list(questions), budget_s))
        await self.may.wait()
        if self.failure is not None:
            raise self.failure
        return [2 * question for question in questions]


async def test_a_turn_goes_together_in_order_with_the_shortest_budget() -> None:
    model = Model()
    gathering = Gathering(model, most=3)
    budgets_s = [4.0, 2.0, 3.0, 1.0]
    found = await asyncio.gather(*[gathering.one(n, budgets_s[n]) for n in range(4)])
    assert found == [0, 2, 4, 6]
    assert model.asked == [([0, 1, 2], 2.0), ([3], 1.0)]


async def test_who_comes_later_does_not_wait_for_the_ones_before() -> None:
    model = Model()
    gathering = Gathering(model, most=9)
    model.may.clear()
    first = asyncio.create_task(gathering.one(1, 1.0))
    for _ in range(5):
        await asyncio.sleep(0)
    second = asyncio.create_task(gathering.one(2, 1.0))
    for _ in range(5):
        await asyncio.sleep(0)
    assert [questions for questions, _ in model.asked] == [[1], [2]]
    model.may.set()
    assert (await first, await second) == (2, 4)


async def test_everybody_is_told_of_a_failure_and_the_next_are_asked_again() -> None:
    model = Model()
    gathering = Gathering(model, most=9)
    model.failure = Unavailable("away")
    told = await asyncio.gather(*[gathering.one(n, 1.0) for n in (1, 2)], return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 2
    model.failure = None
    assert await gathering.one(4, 1.0) == 8


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    model = Model()
    gathering = Gathering(model, most=9)
    model.may.clear()
    leaving = asyncio.create_task(gathering.one(1, 1.0))
    staying = asyncio.create_task(gathering.one(2, 1.0))
    for _ in range(5):
        await asyncio.sleep(0)
    leaving.cancel()
    model.may.set()
    assert await staying == 4
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_nobody_is_asked_for_those_who_left_at_once() -> None:
    model = Model()
    gathering = Gathering(model, most=9)
    leaving = asyncio.create_task(gathering.one(1, 1.0))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await gathering.close()
    assert model.asked == []


async def test_closing_ends_what_is_under_way() -> None:
    model = Model()
    gathering = Gathering(model, most=9)
    model.may.clear()
    waiting = asyncio.create_task(gathering.one(1, 1.0))
    for _ in range(5):
        await asyncio.sleep(0)
    await gathering.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
