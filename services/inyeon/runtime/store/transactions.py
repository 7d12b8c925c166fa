"""One transaction of a store: versions of facts, and events that are written at its end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, cast, func, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.store.dialects import each_of, is_postgresql
from inyeon.runtime.store.many import add
from inyeon.runtime.store.outbox_rows import OutboxRow, row_of
from inyeon.runtime.store.tables import fact_versions, outbox


class SqlTransaction:
    """Implements `Transaction`; lives as long as the block that opened it."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        self.connection = connection
        """For SQLAlchemy Core statements of the service's own tables."""
        self._clock = clock
        self._rows: list[OutboxRow] = []

    @property
    def emits(self) -> bool:
        """There are events in it."""
        return bool(self._rows)

    async def hold(self, fact: str) -> None:
        # A row that is not there cannot be locked, so it is made; 0 was never given out. SQLite has
        # one writer: nobody else is there.
        if is_postgresql(self.connection):
            await self._raise([fact], 0)

    async def next_version(self, fact: str) -> int:
        return (await self._raise([fact], 1))[fact]

    async def next_versions(self, facts: Collection[str]) -> dict[str, int]:
        return await self._raise(sorted(set(facts)), 1) if facts else {}

    async def emit(self, record: NewRecord) -> None:
        """Raises InvalidRecord, RecordTooLarge."""
        self._rows.append(row_of(record, self._clock))

    async def write_events(self) -> None:
        """The last statement before the commit; see `outbox_rows`."""
        if self._rows:
            await add(self.connection, outbox, self._rows)

    async def _raise(self, facts: list[str], by: int) -> dict[str, int]:
        of_server = is_postgresql(self.connection)
        raised = _RAISE_ON_SERVER if of_server else _RAISE_IN_FILE
        result = await self.connection.execute(raised, {"facts": facts, "by_": by})
        return {row.fact: row.version for row in result}


def _raise_on_server() -> Any:
    """One array: the statement is the same for one fact and for a thousand, so it is prepared
    once; rows are locked in the order of the array."""
    each = func.unnest(cast(bindparam("facts"), ARRAY(Text())))
    chosen = select(each, cast(bindparam("by_"), BigInteger()))
    return _raising(postgresql.insert(fact_versions).from_select(["fact", "version"], chosen))


def _raise_in_file() -> Any:
    """As JSON, for the same reason."""
    # Without WHERE, SQLite takes the conflict clause for the condition of a join.
    chosen = select(each_of("facts"), cast(bindparam("by_"), BigInteger())).where(true())
    return _raising(sqlite.insert(fact_versions).from_select(["fact", "version"], chosen))


def _raising(insert: sqlite.Insert | postgresql.Insert) -> Any:
    raised = {"version": fact_versions.c.version + insert.excluded.version}
    doing = insert.on_conflict_do_update(index_elements=[fact_versions.c.fact], set_=raised)
    return doing.returning(fact_versions.c.fact, fact_versions.c.version)


_RAISE_ON_SERVER = _raise_on_server()
_RAISE_IN_FILE = _raise_in_file()
