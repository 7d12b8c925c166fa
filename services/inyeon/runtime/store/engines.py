"""SQLAlchemy engines of SQLite as the store wants them, and what errors of any engine mean.

WAL, foreign keys on, every commit fsynced (synchronous=FULL), transactions begun by us
because the driver's own way begins them too late.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, exc
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from inyeon.runtime.errors import (
    InyeonError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from inyeon.runtime.store.postgres_errors import meaning_of
from inyeon.runtime.store.sqlite_driver import QuickConnection

# A writing transaction takes about 3 ms (two statements and one fsync), so 5 s is a queue of more
# than 1,500. RPCs of services have 10 s, which leaves the caller time for an answer.
WRITE_WAIT_S = 5.0
# For the lock of another process (a migration, a backup, a second replica on the same file): the
# same 5 s again, so that a caller waits 10 s at the very most.
BUSY_WAIT_S = 5.0
READERS = 4  # two cores can keep about two readers busy, one more each waits for the disk
READ_WAIT_S = 5.0


def writing_engine(path: Path, durable: bool) -> AsyncEngine:
    """Engine for reading and writing."""
    engine = _engine(path, False, pool_size=1, pool_timeout=WRITE_WAIT_S)
    synchronous = "FULL" if durable else "OFF"
    _prepare(engine, f"PRAGMA synchronous={synchronous}", "PRAGMA foreign_keys=ON")
    _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


def reading_engine(path: Path) -> AsyncEngine:
    """Engine for reading only."""
    engine = _engine(path, True, pool_size=READERS, pool_timeout=READ_WAIT_S)
    _prepare(engine, "PRAGMA query_only=ON")
    _begin_with(engine, "BEGIN")
    return engine


def migrating_engine(path: Path) -> AsyncEngine:
    """Engine for one migration: foreign keys off, because altering a table on SQLite builds it
    anew."""
    engine = create_async_engine(_url(path), poolclass=NullPool)
    _prepare(engine, "PRAGMA synchronous=FULL")
    _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


def _url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def _engine(path: Path, reads_only: bool, **pool: Any) -> AsyncEngine:
    async def connect() -> QuickConnection:
        connection = QuickConnection(path, reads_only)
        await connection
        return connection

    return create_async_engine(_url(path), max_overflow=0, async_creator=connect, **pool)


@contextmanager
def mapped_errors(where: str) -> Iterator[None]:
    """Turns what drivers raise about the database itself into our errors; wrong statements and
    broken constraints pass."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreBusy(f"{where}: no connection was free in time") from error
    except exc.PendingRollbackError as error:
        raise StoreUnavailable(f"{where}: the connection was lost before") from error
    except exc.DBAPIError as error:
        found = _meaning(where, error)
        if found is None:
            raise
        raise found from error


def _meaning(where: str, error: exc.DBAPIError) -> InyeonError | None:
    # The driver's own error is behind the one that SQLAlchemy's adapter puts before it.
    if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.Error):
        found = meaning_of(where, error.orig.__cause__ or error.orig)
        if found is None and error.connection_invalidated:
            return StoreUnavailable(f"{where}: {error.orig}")
        return found
    return _meaning_on_sqlite(where, error)


def _meaning_on_sqlite(where: str, error: exc.DBAPIError) -> StoreUnavailable | StoreError | None:
    said = str(error.orig)
    if "is locked" in said:
        return StoreBusy(f"{where}: the write lock was not free within {BUSY_WAIT_S:.0f} s")
    if "malformed" in said or "not a database" in said:
        return StoreCorrupt(f"{where}: {said}")
    gone = ("unable to open", "disk I/O error", "disk is full", "readonly database")
    if error.connection_invalidated or any(words in said for words in gone):
        return StoreUnavailable(f"{where}: {said}")
    return None


def _prepare(engine: AsyncEngine, *pragmas: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        _without_driver_transactions(connection)
        cursor = connection.cursor()
        for pragma in (f"PRAGMA busy_timeout={BUSY_WAIT_S * 1000:.0f}", "PRAGMA journal_mode=WAL"):
            cursor.execute(pragma)
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def given_up(connection: DBAPIConnection, *_: object) -> None:
        # A statement that was cancelled lives on in the traceback, and keeps the closed connection
        # and its lock alive: a later transaction would wait in vain.
        with suppress(exc.MissingGreenlet, exc.DBAPIError, ValueError):
            connection.rollback()


def _without_driver_transactions(connection: Any) -> None:
    connection.isolation_level = None


def _begin_with(engine: AsyncEngine, statement: str) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
