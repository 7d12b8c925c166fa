"""The loops: commits by time or at once, tries again when the store is away, ends matches when
due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from inyeon.moderation.app.commit import GAP_S
from inyeon.moderation.domain.observation import Window
from inyeon.runtime.errors import StoreUnavailable

pytestmark = pytest.mark.unit
WAIT_S = 10.0  # a commit on a loaded machine takes a fraction of a second


@asynccontextmanager
async def running(run: Callable[[], Any]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(done: Callable[[], bool], room: Any, step_s: float = 0.0) -> None:
    """Lets the loop and, if asked, the clock go on until `done`."""
    async with asyncio.timeout(WAIT_S):
        while not done():
            if step_s:
                await room.clock.advance(step_s)
            await asyncio.sleep(0.001)


async def test_commits_a_quarter_second_later(room: Any, window: Callable[..., Window]) -> None:
    live, device = await room.open("a")
    async with running(room.commit.run):
        await room.observe.window(live, 1, window(1))
        await room.clock.advance(0.2)
        assert device.acks == []
        await until(lambda: bool(device.acks), room, 0.05)
    assert device.acks == [(1, None)]


async def test_a_verdict_hurries_the_commit(room: Any, window: Callable[..., Window]) -> None:
    live, device = await room.open("a")
    for n in (1, 2, 3):
        live.machine.evidence[0].add(n, window(Drawing=0.9).scores, 1.0)
    async with running(room.commit.run):
        await room.observe.window(live, 4, window(4, Drawing=0.9))
        await until(lambda: bool(device.acks), room)
    assert device.acks == [(4, None)]


async def test_many_windows_hurry_the_commit(room: Any, window: Callable[..., Window]) -> None:
    live, device = await room.open("a")
    async with running(room.commit.run):
        for n in range(1, 101):
            await room.observe.window(live, n, window(n))
        await until(lambda: bool(device.acks), room)
    assert device.acks[-1][0] == 100


async def test_commits_leave_each_other_room(room: Any, window: Callable[..., Window]) -> None:
    live, device = await room.open("a")
    async with running(room.commit.run):
        for n in range(1, 101):
            await room.observe.window(live, n, window(n))
        await until(lambda: bool(device.acks), room)
        for n in range(101, 201):
            await room.observe.window(live, n, window(n))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert device.acks[-1][0] == 100
        await until(lambda: device.acks[-1][0] == 200, room, GAP_S)


async def test_nothing_new_is_not_acknowledged_again(
    room: Any, window: Callable[..., Window]
) -> None:
    live, device = await room.open("a")
    await room.observe.window(live, 1, window(1))
    await room.commit.commit()
    room.commit.note(live)
    await room.commit.commit()
    assert device.acks == [(1, None)]
    await room.observe.window(live, 2, window(2))
    await room.commit.commit()
    assert device.acks == [(1, None), (2, None)]


async def test_a_store_that_comes_back(
    room: Any, window: Callable[..., Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, device = await room.open("a")
    whole, failures = room.ledger.commit, 0

    async def away(changes: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise StoreUnavailable("away")
        return await whole(changes)

    monkeypatch.setattr(room.ledger, "commit", away)
    async with running(room.commit.run):
        await room.observe.window(live, 1, window(1))
        await until(lambda: bool(device.acks), room, 0.25)
    assert (device.acks, failures) == ([(1, None)], 3)


async def test_the_end_comes_by_itself(room: Any, window: Callable[..., Window]) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    async with running(room.telling.run):
        await room.feed(live, *[window(n, Drawing=0.9) for n in (1, 2, 3)])
        await until(lambda: ("END", "myself") in device.told, room, 0.25)


async def test_the_end_waits_for_a_store_that_is_away(
    room: Any, window: Callable[..., Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    await room.feed(live, *[window(n, Drawing=0.9) for n in (1, 2, 3)])
    asked, there = 0, room.ledger.match_of

    async def away_twice(user_id: str) -> Any:
        nonlocal asked
        asked += 1
        if asked <= 2:
            raise StoreUnavailable("away")
        return await there(user_id)

    monkeypatch.setattr(room.ledger, "match_of", away_twice)
    async with running(room.telling.run):
        await until(lambda: ("END", "myself") in device.told, room, 0.25)
    assert asked == 3


async def test_an_unreachable_store_still_covers_the_own_picture(
    room: Any, window: Callable[..., Window], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, device = await room.open("a")

    async def away(user_id: str) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(room.ledger, "match_of", away)
    await room.feed(live, *[window(n, Drawing=0.9) for n in (1, 2, 3)])
    assert ("PROTECT", "myself") in device.told
