"""The SQLite store beyond the contract: files, locks, what errors mean."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, Table, Text, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from inyeon.runtime.errors import StoreBusy, StoreCorrupt, StoreUnavailable
from inyeon.runtime.store import engines
from inyeon.runtime.store.sql import SqlStore, open_service_store, temporary_store
from inyeon.runtime.store.tables import outbox, runtime_tables

pytestmark = pytest.mark.unit

TABLES = runtime_tables(MetaData())
people = Table("people", TABLES, Column("name", Text, primary_key=True))
pets = Table("pets", TABLES, Column("owner", ForeignKey("people.name"), primary_key=True))

WRITER = """
import asyncio, os, sys
from pathlib import Path
from sqlalchemy import Column, MetaData, Table, Text, insert
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import runtime_tables

TABLES = runtime_tables(MetaData())
people = Table("people", TABLES, Column("name", Text, primary_key=True))

async def main():
    store = await SqlStore.open(Path(sys.argv[1]), TABLES, migrations=None)
    for i in range(100_000):
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name=str(i)))
            await tx.emit(NewRecord("t", str(i), b"v"))
        os.write(1, b"%d\\n" % i)

asyncio.run(main())
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(tmp_path / "store.db", TABLES, migrations=None)
    yield store
    await store.close()


async def test_foreign_keys_hold(store: SqlStore) -> None:
    with pytest.raises(IntegrityError):
        async with store.transaction() as tx:
            await tx.connection.execute(insert(pets).values(owner="nobody"))


async def test_commits_are_fsynced(store: SqlStore) -> None:
    async with store.transaction() as tx:
        level = (await tx.connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()
        mode = (await tx.connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
    assert (level, mode) == (2, "wal")


async def test_the_twin_is_not_fsynced_and_gone_afterwards() -> None:
    async with temporary_store(TABLES) as twin:
        async with twin.transaction() as tx:
            level = (await tx.connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()
            listed = await tx.connection.exec_driver_sql("PRAGMA database_list")
            path = str(listed.mappings().one()["file"])
        assert level == 0
        assert _there(path)
    assert not _there(path)


async def test_a_transaction_inside_another_one_is_busy_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "WRITE_WAIT_S", 0.05)
    store = await SqlStore.open(tmp_path / "store.db", TABLES, migrations=None)
    with pytest.raises(StoreBusy):
        async with store.transaction(), store.transaction():
            raise AssertionError("unreachable")
    async with store.transaction() as tx:
        await tx.connection.execute(insert(people).values(name="Ana"))
    await store.close()


async def test_a_lock_of_another_process_is_busy_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_WAIT_S", 0.05)
    store = await SqlStore.open(tmp_path / "store.db", TABLES, migrations=None)
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="write lock"):
            async with store.transaction():
                raise AssertionError("unreachable")
        other.execute("ROLLBACK")
    async with store.transaction() as tx:
        await tx.connection.execute(insert(people).values(name="Ana"))
    await store.close()


async def test_a_wrong_statement_is_said_as_it_is(store: SqlStore) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with store.transaction() as tx:
            await tx.connection.exec_driver_sql("SELECT * FROM nowhere")


async def test_a_full_disk_is_unavailable(store: SqlStore) -> None:
    with pytest.raises(StoreUnavailable, match="full"):
        async with store.transaction() as tx:
            await tx.connection.exec_driver_sql("PRAGMA max_page_count=1")
            for i in range(10_000):
                await tx.connection.execute(insert(people).values(name=f"{i}" * 500))


@pytest.mark.parametrize("kind", ["garbage", "truncated", "tiny"])
async def test_a_broken_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(path, TABLES, migrations=None)
    await store.close()
    whole = path.read_bytes()
    garbage = random.Random(3).randbytes(5_000)
    path.write_bytes({"garbage": garbage, "truncated": whole[:9_000], "tiny": b"x"}[kind])
    with pytest.raises(StoreCorrupt) as refused:
        await SqlStore.open(path, TABLES, migrations=None)
    assert str(path) in str(refused.value)


async def test_a_path_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqlStore.open(tmp_path, TABLES, migrations=None)


async def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        for _ in range(40):
            assert await process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        last = 39 + (await process.stdout.read()).count(b"\n")
        await process.wait()
    store = await SqlStore.open(path, TABLES, migrations=None)
    async with store.reading() as connection:
        count = (await connection.execute(select(func.count()).select_from(people))).scalar_one()
        events = (await connection.execute(select(outbox.c.key).order_by(outbox.c.id))).scalars()
        keys = list(events)
    assert count in (last + 1, last + 2)  # the last commit may not have been said any more
    assert keys == [str(i) for i in range(count)]
    await store.close()


async def test_a_services_store_is_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inyeon.runtime.store import sql
    from inyeon.runtime.store.migrating import write_revision

    await asyncio.to_thread(write_revision, TABLES, tmp_path / "revisions", "first tables")
    monkeypatch.setattr(sql, "migrations_of", lambda service: tmp_path / "revisions")
    store = await open_service_store("bakery", TABLES, tmp_path / "data")
    assert (tmp_path / "data" / "bakery.db").exists()
    assert store.name == "bakery"
    await store.close()


def _there(path: str) -> bool:
    return Path(path).exists()
