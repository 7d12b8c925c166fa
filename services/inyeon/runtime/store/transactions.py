"""One transaction of a store: versions of facts, and events that are written at its end."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.store.dialects import is_postgresql, upsert
from inyeon.runtime.store.outbox_rows import OutboxRow, row_of, write_rows
from inyeon.runtime.store.tables import fact_versions


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
            await self._raise(fact, 0)

    async def next_version(self, fact: str) -> int:
        return await self._raise(fact, 1)

    async def emit(self, record: NewRecord) -> None:
        """Raises InvalidRecord, RecordTooLarge."""
        self._rows.append(row_of(record, self._clock))

    async def write_events(self) -> None:
        """The last statement before the commit; see `outbox_rows`."""
        if self._rows:
            await write_rows(self.connection, self._rows)

    async def _raise(self, fact: str, by: int) -> int:
        insert = upsert(self.connection, fact_versions).values(fact=fact, version=by)
        statement = insert.on_conflict_do_update(
            index_elements=[fact_versions.c.fact], set_={"version": fact_versions.c.version + by}
        )
        result = await self.connection.execute(statement.returning(fact_versions.c.version))
        return int(result.scalar_one())
