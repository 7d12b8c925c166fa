"""Alembic, used from code: write, upgrade, compare."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, insert, select

from inyeon.runtime.errors import MigrationFailed
from inyeon.runtime.store.migrating import migration_differences, migrations_of, write_revision
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import COUNTER, runtime_tables

pytestmark = pytest.mark.unit


def _tables(*columns: Column[object]) -> MetaData:
    tables = runtime_tables(MetaData())
    Table("people", tables, Column("id", COUNTER, primary_key=True), *columns)
    return tables


def test_the_first_revision_makes_the_tables(tmp_path: Path) -> None:
    tables = _tables(Column("name", Text, nullable=False, index=True))
    written = write_revision(tables, tmp_path / "revisions", "first tables")
    assert written.name == "r0001_first_tables.py"
    assert migration_differences(tables, written.parent) == []


def test_a_change_is_seen_written_and_then_gone(tmp_path: Path) -> None:
    write_revision(_tables(), tmp_path, "first tables")
    changed = _tables(Column("age", BigInteger))
    assert "add_column" in migration_differences(changed, tmp_path)[0]
    assert write_revision(changed, tmp_path, "ages").name == "r0002_ages.py"
    assert migration_differences(changed, tmp_path) == []
    with pytest.raises(MigrationFailed, match="as the newest revision says"):
        write_revision(changed, tmp_path, "nothing")


async def test_an_old_database_keeps_its_rows_when_it_is_upgraded(tmp_path: Path) -> None:
    path, folder = tmp_path / "service.db", tmp_path / "revisions"
    old = _tables(Column("name", Text))
    await asyncio.to_thread(write_revision, old, folder, "first tables")
    store = await SqlStore.open(path, old, migrations=folder)
    async with store.transaction() as tx:
        await tx.connection.execute(insert(old.tables["people"]).values(name="Ana"))
    await store.close()
    new = _tables(Column("name", Text), Column("age", BigInteger, server_default="7"))
    await asyncio.to_thread(write_revision, new, folder, "ages")
    store = await SqlStore.open(path, new, migrations=folder)
    async with store.reading() as connection:
        rows = (await connection.execute(select(new.tables["people"]))).all()
    assert [tuple(row) for row in rows] == [(1, "Ana", 7)]
    await store.close()


async def test_two_that_open_at_once_both_find_the_tables(tmp_path: Path) -> None:
    tables, folder = _tables(), tmp_path / "revisions"
    await asyncio.to_thread(write_revision, tables, folder, "first tables")
    path = tmp_path / "service.db"
    opening = [SqlStore.open(path, tables, migrations=folder) for _ in range(2)]
    for store in await asyncio.gather(*opening):
        await store.close()


async def test_a_failing_revision_leaves_nothing_behind(tmp_path: Path) -> None:
    tables, folder = _tables(), tmp_path / "revisions"
    written = await asyncio.to_thread(write_revision, tables, folder, "first tables")
    text = written.read_text().replace(
        "def downgrade", '    op.execute("SELECT nonsense")\n\n\ndef downgrade', 1
    )
    written.write_text(text)
    with pytest.raises(MigrationFailed, match="nonsense"):
        await SqlStore.open(tmp_path / "service.db", tables, migrations=folder)
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


async def test_a_database_newer_than_the_code_is_refused(tmp_path: Path) -> None:
    tables, folder = _tables(), tmp_path / "revisions"
    await asyncio.to_thread(write_revision, tables, folder, "first tables")
    store = await SqlStore.open(tmp_path / "service.db", tables, migrations=folder)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num='0099'")
        connection.commit()
    with pytest.raises(MigrationFailed, match="0099"):
        await SqlStore.open(tmp_path / "service.db", tables, migrations=folder)


async def test_no_revision_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed, match=r"no revision in .*migrating\.py"):
        await SqlStore.open(tmp_path / "service.db", _tables(), migrations=tmp_path / "none")


def test_a_services_folder_is_beside_its_adapters() -> None:
    assert migrations_of("gateway").parts[-3:] == ("gateway", "adapters", "migrations")
    with pytest.raises(MigrationFailed, match="no service"):
        migrations_of("bakery")


def test_the_tables_of_the_ground_are_added_once() -> None:
    tables = MetaData()
    assert runtime_tables(runtime_tables(tables)) is tables
    assert {"outbox", "fact_versions", "consumed_events", "dead_keys"} <= set(tables.tables)
