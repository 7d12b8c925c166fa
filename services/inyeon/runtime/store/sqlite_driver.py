"""Connections of aiosqlite that cross to their thread once a statement.

aiosqlite goes there four times (cursor, statement, rows, close), and each way costs some 0.1 ms of
a core, several times what SQLite needs for a statement of ours. Here a statement takes its rows
along, and what neither waits nor touches the disk happens at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiosqlite

_CHUNK = 64  # of rows that are asked for one after the other; nobody does here


class QuickConnection(aiosqlite.Connection):
    """A connection that one task uses at a time, as SQLAlchemy's pools hand them out.

    `reads_only`: it never writes, so beginning and ending its transactions waits for nobody.
    """

    def __init__(self, path: Path | str, reads_only: bool) -> None:
        def connect() -> sqlite3.Connection:
            # Its thread and the loop's take turns: a connection has one task at a time.
            return sqlite3.connect(path, check_same_thread=False)

        super().__init__(connect, _CHUNK)
        self._thread.daemon = True  # what a cancelled task leaves must not keep the process
        self._reads_only = reads_only
        self._running_statements = 0

    @property
    def idle(self) -> bool:
        """No statement is under way, also none whose caller was cancelled."""
        return self._running_statements == 0

    def is_instant(self, statement: str) -> bool:
        """It neither waits for a lock nor touches the disk."""
        return self._reads_only and self.idle and statement in ("BEGIN", "ROLLBACK")

    def cursor(self) -> QuickCursor:  # type: ignore[override]  # the same methods
        return QuickCursor(self, self._conn.cursor())

    async def rollback(self) -> None:
        if self.idle and (self._reads_only or not self._conn.in_transaction):
            self._conn.rollback()
        else:
            await super().rollback()

    async def commit(self) -> None:
        if self.idle and self._reads_only:
            self._conn.commit()
        else:
            await super().commit()

    async def take(self, cursor: sqlite3.Cursor, sql: str, values: Any) -> list[Any]:
        """Runs a statement in the thread and brings all of its rows back."""

        def run() -> list[Any]:
            try:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
            finally:
                self._running_statements -= 1

        self._running_statements += 1
        rows: list[Any] = await self._execute(run)  # type: ignore[no-untyped-call]
        return rows


class QuickCursor(aiosqlite.Cursor):
    """A cursor whose rows came with the statement."""

    _conn: QuickConnection

    def __init__(self, connection: QuickConnection, cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._rows: list[Any] = []

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> QuickCursor:
        if self._conn.is_instant(sql):
            self._cursor.execute(sql)
        else:
            self._rows = await self._conn.take(self._cursor, sql, parameters or ())
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Raises NotImplementedError, as `fetchone`: SQLAlchemy takes all rows at once."""
        raise NotImplementedError("rows come all at once")

    async def fetchone(self) -> Any:
        raise NotImplementedError("rows come all at once")

    async def close(self) -> None:
        if self._conn.idle:
            self._cursor.close()
        else:
            await super().close()
