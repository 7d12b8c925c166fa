"""Where statements of SQLite run: in the connection's thread, or where they are asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inyeon.runtime.store.sqlite_driver import QUICK_S, REMEMBERED, Pace, QuickConnection

pytestmark = pytest.mark.unit

SLOW = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000)"
    " SELECT thread(), max(x) FROM n"
)
"""Some tenths of a second."""


async def connection(path: Path, reads_only: bool) -> QuickConnection:
    made = QuickConnection(path, reads_only)
    await made
    made._conn.isolation_level = None  # as the store's engines have it
    await made.create_function("thread", 0, threading.get_ident)
    return made


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[QuickConnection]:
    made = await connection(tmp_path / "some.db", False)
    yield made
    await made.close()


async def where(used: QuickConnection, statement: str = "SELECT thread()") -> int:
    cursor = used.cursor()
    await cursor.execute(statement)
    ((thread, *_),) = await cursor.fetchall()
    await cursor.close()
    return int(thread)


def test_a_statement_is_quick_after_it_was_and_a_slow_run_is_remembered_for_a_while() -> None:
    pace = Pace()
    assert not pace.is_quick("SELECT 1")
    pace.note("SELECT 1", QUICK_S / 10)
    assert pace.is_quick("SELECT 1")
    pace.note("SELECT 1", 4 * QUICK_S)
    for _ in range(6):
        assert not pace.is_quick("SELECT 1")
        pace.note("SELECT 1", QUICK_S / 10)
    for _ in range(4):
        pace.note("SELECT 1", QUICK_S / 10)
    assert pace.is_quick("SELECT 1")


def test_the_oldest_statement_is_forgotten() -> None:
    pace = Pace()
    for number in range(REMEMBERED + 1):
        pace.note(f"SELECT {number}", 0.0)
    assert not pace.is_quick("SELECT 0")
    assert pace.is_quick("SELECT 1")


async def test_in_a_transaction_a_quick_statement_stays_here_from_its_second_run_on(
    writer: QuickConnection,
) -> None:
    here = threading.get_ident()
    assert await where(writer) != here
    await writer.cursor().execute("BEGIN IMMEDIATE")
    assert await where(writer) == here
    assert await where(writer, SLOW) != here
    assert await where(writer, SLOW) != here
    await writer.commit()
    assert await where(writer) != here, "no transaction: it may wait for a lock"


async def test_many_rows_are_written_and_brought_back(writer: QuickConnection) -> None:
    cursor = writer.cursor()
    await cursor.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    await cursor.execute("BEGIN IMMEDIATE")
    for start in (0, 100):
        await cursor.executemany("INSERT INTO t VALUES (?)", ((start + n,) for n in range(100)))
    await writer.rollback()
    await cursor.execute("BEGIN IMMEDIATE")
    await cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    await writer.commit()
    await writer.rollback()
    await cursor.execute("SELECT n FROM t ORDER BY n")
    assert await cursor.fetchall() == [(1,), (2,)]
    assert await cursor.fetchall() == []
    for asking in (cursor.fetchone, cursor.fetchmany):
        with pytest.raises(NotImplementedError):
            await asking()


async def test_readers_begin_and_end_here(writer: QuickConnection, tmp_path: Path) -> None:
    await writer.cursor().execute("PRAGMA journal_mode=WAL")
    reader = await connection(tmp_path / "some.db", True)
    try:
        await reader.cursor().execute("BEGIN")
        assert reader.in_transaction
        await reader.commit()
        await reader.cursor().execute("BEGIN")
        await reader.rollback()
        assert not reader.in_transaction
    finally:
        await reader.close()


async def test_what_a_cancelled_caller_left_running_is_waited_for(writer: QuickConnection) -> None:
    await writer.cursor().execute("BEGIN IMMEDIATE")
    cursor = writer.cursor()
    asking = asyncio.create_task(cursor.execute(SLOW))
    await asyncio.sleep(0)
    assert not writer.idle
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await cursor.close()
    await writer.rollback()
    assert writer.idle and not writer.in_transaction
