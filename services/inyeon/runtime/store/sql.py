"""The store over SQLAlchemy 2 Core: SQLite through aiosqlite, one file for each service, or
PostgreSQL through asyncpg, one database for each service.

SQLite has one writer at a time, so writing transactions share one connection and take turns in this
process; each begins with BEGIN IMMEDIATE, so a transaction that has begun never fails for a lock.
Readers have connections of their own and see the last committed state (WAL). Do not open a
transaction inside another one in the same task: it would wait for itself and raise StoreBusy.
PostgreSQL has many writers, see `port.py`; a lost server is StoreUnavailable for those who were
using it, and the next one connects anew.

`temporary_store` is the twin for tests: the same code over a file in a temporary folder that is
never fsynced. A database in memory is none: its shared cache makes readers wait for writers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Executable, MetaData, Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.store import postgres
from inyeon.runtime.store.capacity import capacity_of, check_capacity, fill
from inyeon.runtime.store.doorbell import Doorbell
from inyeon.runtime.store.engines import (
    mapped_errors,
    migrating_engine,
    reading_engine,
    writing_engine,
)
from inyeon.runtime.store.migrating import alone, migrations_of, suit_outbox, upgrade
from inyeon.runtime.store.sound import check_file
from inyeon.runtime.store.tables import runtime_tables
from inyeon.runtime.store.transactions import SqlTransaction

CONNECTIONS = 8
"""Of one store on PostgreSQL, where nobody says."""


@dataclass(frozen=True, slots=True)
class Pools:
    """What a store works with."""

    writing: AsyncEngine
    reading: AsyncEngine
    bell: Doorbell | None = None
    """PostgreSQL only: a file has no other processes to tell."""


class SqlStore:
    """A service's own database. Build it with `open`."""

    def __init__(self, name: str, pools: Pools, clock: Clock) -> None:
        self.name = name
        """For messages and metrics."""
        self.relayed_here = False
        """A relay of this process publishes all of it: nobody else need be woken."""
        self._clock = clock
        self._writing = pools.writing
        self._reading = pools.reading
        self._asking, self._acting = pools.reading, pools.writing
        if pools.bell is not None:
            self._asking = _without_transactions(pools.reading)
            self._acting = _without_transactions(pools.writing)
        self._relays: list[asyncio.Event] = []
        self._bell = pools.bell
        self._ringing: asyncio.Task[None] | None = None
        if pools.bell is not None:
            self._ringing = asyncio.create_task(pools.bell.run(self._wake_relays))
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
        connections: int = CONNECTIONS,
    ) -> SqlStore:
        """Opens a file (Path) or `postgresql://user:password@host:port/database`, with the
        service's and the ground's tables in it.

        `migrations`: folder of Alembic revisions; None creates missing tables as they are (tests
        only). `durable` False leaves out fsync (tests only). `connections`: PostgreSQL, all of
        them, opened now; at least 3. Raises StoreCorrupt, StoreUnavailable, StoreBusy,
        MigrationFailed, SettingsRefused (connections, address).
        """
        all_tables = runtime_tables(tables)
        with mapped_errors(name):
            if isinstance(where, Path):
                pools = await _open_file(where, all_tables, migrations, durable)
            else:
                address = postgres.Address.parse(where)
                engine = postgres.migrating_engine(address, name)
                await _create_tables(engine, all_tables, migrations)
                pools = await _open_server(address, name, durable, connections)
        return cls(name, pools, clock or SystemClock())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction]:
        """Opens a transaction; commits at the end of the block, rolls back on any exception,
        cancellation included.

        Raises StoreBusy after 5 s of waiting for other writers of this process (or 5 s for other
        processes; PostgreSQL: 2 s for a connection, 2 s for a row), StoreConflict,
        StoreUnavailable, StoreCorrupt, InvalidRequest (TEXT_REFUSED). Errors of statements
        (IntegrityError) pass as they are.
        """
        self._check_open()
        opened: SqlTransaction | None = None
        try:
            with mapped_errors(self.name):
                async with self._writing.begin() as connection:
                    opened = SqlTransaction(connection, self._clock)
                    yield opened
                    await opened.write_events()
        finally:
            # Also after a failed or cancelled commit: it may have happened, and waking the relay
            # for nothing is cheap.
            if opened is not None and opened.emits:
                self._tell_relays()

    @asynccontextmanager
    async def reading(self, *, once: bool = False) -> AsyncIterator[AsyncConnection]:
        """Opens a connection for reading only, on one snapshot of what is committed. `once`: for
        one statement, which is a snapshot by itself."""
        self._check_open()
        with mapped_errors(self.name):
            async with (self._asking if once else self._reading).begin() as connection:
                yield connection

    async def alone(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """The rows of one writing statement that is a transaction by itself (PostgreSQL). Raises as
        `transaction` does."""
        self._check_open()
        with mapped_errors(self.name):
            async with self._acting.connect() as connection:
                return (await connection.execute(statement, values)).all()

    @property
    def has_many_writers(self) -> bool:
        """Transactions run beside each other, in other processes too (PostgreSQL)."""
        return self._bell is not None

    def outbox_events(self) -> asyncio.Event:
        """An event of one relay's own, set after each commit of events; the relay clears it."""
        event = asyncio.Event()
        self._relays.append(event)
        return event

    def listen(self) -> None:
        """From now on commits of other processes set it too (PostgreSQL)."""
        if self._bell is not None:
            self._bell.listen()

    async def close(self) -> None:
        """Closes the pools. Closing twice does nothing."""
        self._closed = True
        if self._ringing is not None:
            self._ringing.cancel()
            with suppress(asyncio.CancelledError):
                await self._ringing
        await self._reading.dispose()
        await self._writing.dispose()

    def _tell_relays(self) -> None:
        self._wake_relays()
        if self._bell is not None and not self.relayed_here:
            self._bell.ring()

    def _wake_relays(self) -> None:
        for event in self._relays:
            event.set()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.name}: the store is closed")


async def open_service_store(
    service: str,
    tables: MetaData,
    data_dir: Path,
    clock: Clock | None = None,
    *,
    database_url: str = "",
    connections: int = CONNECTIONS,
) -> SqlStore:
    """Opens the service's own database, migrated to its newest revision: `<data_dir>/<service>.db`,
    or where `database_url`, with `{service}` in it, says. Raises what `SqlStore.open` raises."""
    where: Path | str = data_dir / f"{service}.db"
    if database_url:
        postgres.address_of(database_url, service)
        where = database_url.replace("{service}", service)
    folder = migrations_of(service)
    return await SqlStore.open(
        where, tables, migrations=folder, name=service, clock=clock, connections=connections
    )


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


def _without_transactions(engine: AsyncEngine) -> AsyncEngine:
    """The same pool; each statement is a transaction by itself, in one round trip."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


async def _open_file(path: Path, tables: MetaData, migrations: Path | None, durable: bool) -> Pools:
    await asyncio.to_thread(check_file, path)
    await _create_tables(migrating_engine(path), tables, migrations)
    return Pools(writing_engine(path, durable), reading_engine(path))


async def _open_server(
    address: postgres.Address, name: str, durable: bool, connections: int
) -> Pools:
    shares = postgres.Shares.of(connections)
    writing = postgres.writing_engine(address, name, shares.writers, durable)
    reading = postgres.reading_engine(address, name, shares.readers)
    try:
        async with reading.connect() as connection:
            # The connection that asks is one of ours and is not counted as used.
            check_capacity(name, shares.total, await capacity_of(connection))
        await fill(reading, shares.readers, name)
        await fill(writing, shares.writers, name)
    except BaseException:
        await reading.dispose()
        await writing.dispose()
        raise
    return Pools(writing, reading, Doorbell(lambda: postgres.bell_connection(address, name)))


async def _create_tables(engine: AsyncEngine, tables: MetaData, migrations: Path | None) -> None:
    try:
        async with engine.begin() as connection:
            await alone(connection)
            if migrations is None:
                await connection.run_sync(tables.create_all)
            else:
                await connection.run_sync(upgrade, tables, migrations)
            await suit_outbox(connection)
    finally:
        await engine.dispose()
