"""Matches of many people in few queries, each as new as its question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.moderation.adapters.match_reader import MatchReader
from inyeon.moderation.app.ports import LiveMatch
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.store.port import Store, Transaction

pytestmark = pytest.mark.unit


class CountingStore:
    """The store, with its readings counted, held up or refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.readings = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store.transaction()

    @asynccontextmanager
    async def reading(self, *, once: bool = False) -> AsyncIterator[AsyncConnection]:
        self.readings += 1
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        async with self._store.reading(once=once) as connection:
            yield connection

    async def close(self) -> None:
        await self._store.close()


async def test_many_who_ask_together_are_answered_by_one_query(room: Any) -> None:
    for n in range(20):
        await room.match(f"m{n}", f"a{n}", f"b{n}")
    store = CountingStore(room.store)
    reader = MatchReader(store)
    people = [f"{side}{n}" for n in range(20) for side in "ab"] + ["nobody"]
    found = await asyncio.gather(*[reader.of(user_id) for user_id in people])
    assert store.readings == 1
    assert found[:2] == [LiveMatch("m0", "b0"), LiveMatch("m0", "a0")]
    assert found[-3:] == [LiveMatch("m19", "b19"), LiveMatch("m19", "a19"), None]


async def test_an_answer_is_not_older_than_its_question(room: Any) -> None:
    store = CountingStore(room.store)
    reader = MatchReader(store)
    store.open.clear()
    before = asyncio.create_task(reader.of("a"))
    for _ in range(10):
        await asyncio.sleep(0)
    await room.match("m", "a", "b")
    after = asyncio.create_task(reader.of("a"))
    store.open.set()
    await before
    assert await after == LiveMatch("m", "b")
    assert store.readings == 2
    await room.match("m", "a", "b", ended=True)
    assert await reader.of("a") is None


async def test_the_newest_match_counts(room: Any) -> None:
    await room.match("older", "a", "b", ended=False)
    await room.match("over", "a", "c", ended=True)
    assert await MatchReader(room.store).of("a") == LiveMatch("older", "b")


async def test_a_store_that_is_away_is_told_to_everybody_and_asked_again(room: Any) -> None:
    store = CountingStore(room.store)
    reader = MatchReader(store)
    store.failure = StoreUnavailable("away")
    asked = await asyncio.gather(*[reader.of(u) for u in "ab"], return_exceptions=True)
    assert [type(one) for one in asked] == [StoreUnavailable] * 2
    store.failure = None
    assert await reader.of("a") is None


async def test_one_who_stops_waiting_takes_nothing_from_the_others(room: Any) -> None:
    await room.match("m", "a", "b")
    store = CountingStore(room.store)
    reader = MatchReader(store)
    store.open.clear()
    impatient = asyncio.create_task(reader.of("a"))
    other = asyncio.create_task(reader.of("a"))
    await asyncio.sleep(0)
    impatient.cancel()
    store.open.set()
    assert await other == LiveMatch("m", "b")
    with pytest.raises(asyncio.CancelledError):
        await impatient
