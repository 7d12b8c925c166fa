"""Modes of pools in the store: the newest word, the kill switch above all, and commits that ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.tables import TABLES, pool_modes
from inyeon.matching.app.ports import WaveOrder
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode, in_force
from inyeon.matching.errors import PoolPaused
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.sql import open_service_store

pytestmark = pytest.mark.unit
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_service_store("matching", TABLES, tmp_path, SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def book(store: Store) -> SqlBook:
    return SqlBook(store, timedelta(minutes=10), SystemClock())


async def test_the_newest_word_counts_and_the_kill_switch_is_above_all(book: SqlBook) -> None:
    everything_open = {"a": PoolMode.OPEN, "b": PoolMode.OPEN, ALL_POOLS: PoolMode.OPEN}
    assert await book.modes(["a", "b"]) == everything_open
    await book.record_mode("a", PoolMode.PAUSED, "op", AT)
    await book.record_mode("a", PoolMode.DRAINING, "op", AT)
    assert (await book.modes(["a", "b"]))["a"] is PoolMode.DRAINING
    await book.record_mode(ALL_POOLS, PoolMode.PAUSED, "op", AT)
    assert set((await book.modes(["a", "b"])).values()) == {PoolMode.PAUSED}
    await book.record_mode(ALL_POOLS, PoolMode.OPEN, "op", AT)
    assert (await book.modes(["a", "b"]))["a"] is PoolMode.DRAINING


async def test_a_mode_of_a_newer_version_pauses(book: SqlBook, store: Store) -> None:
    row = {"pool": "a", "mode": "SLOW", "said_by": "op", "said_us": 0}
    async with store.transaction() as tx:
        await tx.connection.execute(insert(pool_modes).values(row))
    assert (await book.modes(["a"]))["a"] is PoolMode.PAUSED


async def test_a_commit_asks_again(book: SqlBook) -> None:
    epoch = await book.hold("a", "here", 0)
    assert epoch is not None
    order = WaveOrder("a", epoch, 1, AT, (), (), "linear-1")
    assert await book.commit_wave(order) == frozenset()
    await book.record_mode(ALL_POOLS, PoolMode.PAUSED, "op", AT)
    with pytest.raises(PoolPaused):
        await book.commit_wave(order)


def test_the_stricter_one_is_in_force() -> None:
    for own in PoolMode:
        assert in_force(own, PoolMode.PAUSED) is PoolMode.PAUSED
        assert in_force(own, PoolMode.OPEN) is own
