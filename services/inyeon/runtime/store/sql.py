"""The store over SQLAlchemy 2 Core: SQLite through aiosqlite, one file for each service.

SQLite has one writer at a time, so writing transactions share one connection and take turns in this
process; each begins with BEGIN IMMEDIATE, so a transaction that has begun never fails for a lock.
Readers have connections of their own and see the last committed state (WAL). Do not open a
transaction inside another one in the same task: it would wait for itself and raise StoreBusy. With
another URL (PostgreSQL) the same class runs on that engine's own concurrency.

`temporary_store` is the twin for tests: the same code over a file in a temporary folder that is
never fsynced. A database in memory is none: its shared cache makes readers wait for writers.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.log.port import NewRecord, TopicSpec
from inyeon.runtime.log.records import check_record
from inyeon.runtime.log.topics import TOPICS
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.engines import (
    mapped_errors,
    migrating_engine,
    reading_engine,
    sqlite_url,
    writing_engine,
)
from inyeon.runtime.store.migrating import migrations_of, upgrade
from inyeon.runtime.store.sound import check_file
from inyeon.runtime.store.tables import fact_versions, outbox, runtime_tables

_KNOWN = {spec.name: spec for spec in TOPICS}


class SqlTransaction:
    """One database transaction; lives as long as the block that opened it."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        self.connection = connection
        """For SQLAlchemy Core statements of the service's own tables."""
        self.emitted = 0
        self._clock = clock

    async def next_version(self, fact: str) -> int:
        """Next version of a fact, from 1, without gaps: the row stays locked until the transaction
        ends."""
        insert = upsert(self.connection, fact_versions).values(fact=fact, version=1)
        statement = insert.on_conflict_do_update(
            index_elements=[fact_versions.c.fact], set_={"version": fact_versions.c.version + 1}
        )
        result = await self.connection.execute(statement.returning(fact_versions.c.version))
        return int(result.scalar_one())

    async def emit(self, record: NewRecord) -> None:
        """Puts an event into the outbox, with `event_id` and `occurred_at` headers where it has
        none.

        Raises InvalidRecord, RecordTooLarge: what the log would refuse must not block the outbox
        behind it.
        """
        now = self._clock.now()
        headers = {"event_id": str(uuid.uuid4()), "occurred_at": now.isoformat(), **record.headers}
        row = {
            "topic": record.topic,
            "key": record.key,
            "partition_key": record.partition_key,
            "value": record.value,
            "headers": json.dumps(headers),
            "emitted_us": microseconds(now),
        }
        spec = _KNOWN.get(record.topic) or TopicSpec(record.topic, compacted=True)
        complete = NewRecord(record.topic, record.key, record.value, headers, record.partition_key)
        check_record(complete, spec)
        await self.connection.execute(outbox.insert().values(row))
        self.emitted += 1


class SqlStore:
    """A service's own database. Build it with `open`."""

    def __init__(self, name: str, url: str, durable: bool, clock: Clock) -> None:
        self.name = name
        """For messages and metrics."""
        self.outbox_grew = asyncio.Event()
        """Set after each commit of an event; the relay clears it."""
        self._clock = clock
        self._writing = writing_engine(url, durable)
        self._reading = reading_engine(url)
        self._closed = False

    @classmethod
    async def open(
        cls,
        where: Path | str,
        tables: MetaData,
        *,
        migrations: Path | None,
        name: str = "store",
        clock: Clock | None = None,
        durable: bool = True,
    ) -> SqlStore:
        """Opens a file (Path) or a SQLAlchemy URL, with the service's and the ground's tables in
        it.

        `migrations`: folder of Alembic revisions; None creates missing tables as they are (tests
        only). `durable` False leaves out fsync (tests only). Raises StoreCorrupt, StoreUnavailable,
        StoreBusy, MigrationFailed.
        """
        if isinstance(where, Path):
            await asyncio.to_thread(check_file, where)
        url = sqlite_url(where) if isinstance(where, Path) else where
        with mapped_errors(name):
            await _create_tables(url, runtime_tables(tables), migrations)
        return cls(name, url, durable, clock or SystemClock())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction]:
        """Opens a transaction; commits at the end of the block, rolls back on any exception,
        cancellation included.

        Raises StoreBusy after 5 s of waiting for other writers of this process (or 5 s for other
        processes), StoreUnavailable, StoreCorrupt. Errors of statements (IntegrityError) pass as
        they are.
        """
        self._check_open()
        opened: SqlTransaction | None = None
        try:
            with mapped_errors(self.name):
                async with self._writing.begin() as connection:
                    opened = SqlTransaction(connection, self._clock)
                    yield opened
        finally:
            # Also after a failed or cancelled commit: it may have happened, and waking the relay
            # for nothing is cheap.
            if opened is not None and opened.emitted:
                self.outbox_grew.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Opens a connection for reading only, on one snapshot of what is committed."""
        self._check_open()
        with mapped_errors(self.name):
            async with self._reading.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Closes the pools. Closing twice does nothing."""
        self._closed = True
        await self._reading.dispose()
        await self._writing.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.name}: the store is closed")


async def open_service_store(
    service: str, tables: MetaData, data_dir: Path, clock: Clock | None = None
) -> SqlStore:
    """Opens `<data_dir>/<service>.db`, migrated to the service's newest revision."""
    path = data_dir / f"{service}.db"
    folder = migrations_of(service)
    return await SqlStore.open(path, tables, migrations=folder, name=service, clock=clock)


@asynccontextmanager
async def temporary_store(
    tables: MetaData, clock: Clock | None = None, migrations: Path | None = None
) -> AsyncIterator[SqlStore]:
    """The twin for tests: a store that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="inyeon-store-") as folder:
        path = Path(folder) / "twin.db"
        store = await SqlStore.open(
            path, tables, migrations=migrations, name="twin", clock=clock, durable=False
        )
        try:
            yield store
        finally:
            await store.close()


async def _create_tables(url: str, tables: MetaData, migrations: Path | None) -> None:
    engine = migrating_engine(url)
    try:
        async with engine.begin() as connection:
            if migrations is None:
                await connection.run_sync(tables.create_all)
            else:
                await connection.run_sync(upgrade, tables, migrations)
    finally:
        await engine.dispose()
