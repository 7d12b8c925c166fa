"""Questions to the store, one batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from inyeon.runtime.store.together import Together

pytestmark = pytest.mark.unit


class Doubling:
    """Answers with twice the number, when it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.may.wait()
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


async def test_who_comes_while_one_is_under_way_goes_together_next() -> None:
    doubling = Doubling()
    together = Together(doubling, most=3)
    doubling.may.clear()
    asked = [asyncio.create_task(together.one(number)) for number in range(1, 8)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert doubling.batches == [[1, 2, 3]]
    late = asyncio.create_task(together.one(8))
    doubling.may.set()
    assert await asyncio.gather(*asked, late) == [2 * number for number in range(1, 9)]
    assert doubling.batches == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert await together.one(5) == 10


async def test_an_error_is_for_everybody_of_its_batch_and_for_nobody_else() -> None:
    together = Together(Doubling(), most=2)
    found = await asyncio.gather(
        *(together.one(number) for number in (1, 13, 3)), return_exceptions=True
    )
    assert [str(one) for one in found] == ["thirteen", "thirteen", "6"]


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    doubling = Doubling()
    together = Together(doubling, most=5)
    doubling.may.clear()
    gone, stays = (asyncio.create_task(together.one(number)) for number in (1, 2))
    for _ in range(5):
        await asyncio.sleep(0)
    gone.cancel()
    doubling.may.set()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_nobody_waits_for_ever_when_the_work_is_cancelled() -> None:
    doubling = Doubling()
    together = Together(doubling, most=1)
    doubling.may.clear()
    asked = [asyncio.create_task(together.one(number)) for number in (1, 2)]
    for _ in range(5):
        await asyncio.sleep(0)
    (work,) = {t for t in asyncio.all_tasks() if "Together._work" in repr(t)}
    work.cancel()
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    doubling.may.set()
    assert await together.one(4) == 8


async def test_a_rush_shares_batches_where_a_gap_lies_between_them() -> None:
    doubling = Doubling()
    together = Together(doubling, most=9, gap_s=0.2)
    assert await together.one(1) == 2  # a lone question waits for nothing
    second = asyncio.create_task(together.one(2))
    await asyncio.sleep(0.01)
    assert doubling.batches == [[1]]
    assert list(await asyncio.gather(second, together.one(3))) == [4, 6]
    assert doubling.batches == [[1], [2, 3]]
