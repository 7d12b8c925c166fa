"""Connections of aiosqlite that cross to their thread only for what may take long.

aiosqlite goes there four times a statement (cursor, statement, rows, close), and each way costs
some 0.1 ms of a core, several times what SQLite needs for a statement of ours. Here a statement
takes its rows along, and one that has been quick so far runs where it is asked for. What waits for
a lock or for the disk, the begin and the commit of a writer, never does.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")

_CHUNK = 64  # of rows that are asked for one after the other; nobody does here
QUICK_S = 0.0005
"""What the loop may be held up for; a trip to the thread costs nearly half of it."""
REMEMBERED = 1_000
"""Statements, by their text; some 200 B each."""
_WAITING = ("BEGIN IMMEDIATE", "COMMIT")


class Pace:
    """How long statements took, by their text: the longest lately."""

    def __init__(self) -> None:
        self._took_s: dict[str, float] = {}

    def is_quick(self, statement: str) -> bool:
        """It has been run before and was quick."""
        return self._took_s.get(statement, math.inf) <= QUICK_S

    def note(self, statement: str, took_s: float) -> None:
        """It took so long once more; one slow run counts for some ten quick ones."""
        before = self._took_s.pop(statement, took_s)
        self._took_s[statement] = max(took_s, 0.8 * before)
        if len(self._took_s) > REMEMBERED:
            del self._took_s[next(iter(self._took_s))]


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
        self._pace = Pace()

    @property
    def idle(self) -> bool:
        """No statement is under way, also none whose caller was cancelled."""
        return self._running_statements == 0

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

    async def take(self, statement: str, run: Callable[[], T]) -> T:
        """What `run` brings back of a statement: run here, or in the thread."""
        if self.idle and self._may_run_here(statement):
            began_s = time.perf_counter()
            try:
                return run()
            finally:
                self._pace.note(statement, time.perf_counter() - began_s)

        def there() -> T:
            # By the thread's own time: it may have waited for the interpreter's lock.
            began_s = time.thread_time()
            try:
                return run()
            finally:
                self._pace.note(statement, time.thread_time() - began_s)
                self._running_statements -= 1

        self._running_statements += 1
        result: T = await self._execute(there)  # type: ignore[no-untyped-call]
        return result

    def _may_run_here(self, statement: str) -> bool:
        if self._reads_only and statement == "BEGIN":
            return True
        in_transaction = self._conn.in_transaction and statement not in _WAITING
        return in_transaction and self._pace.is_quick(statement)


class QuickCursor(aiosqlite.Cursor):
    """A cursor whose rows came with the statement."""

    _conn: QuickConnection

    def __init__(self, connection: QuickConnection, cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._rows: list[Any] = []

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> QuickCursor:
        cursor, values = self._cursor, parameters or ()

        def run() -> list[Any]:
            cursor.execute(sql, values)  # type: ignore[arg-type]  # what callers of DB-API give
            return cursor.fetchall() if cursor.description else []

        self._rows = await self._conn.take(sql, run)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> QuickCursor:
        rows: list[Any] = list(parameters)
        run = partial(self._cursor.executemany, sql, rows)
        await self._conn.take(f"{len(rows).bit_length()} {sql}", run)
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
