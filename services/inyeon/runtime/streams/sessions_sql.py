"""Sessions in a service's own store, in the table `stream_sessions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    RowMapping,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import StoreConflict
from inyeon.runtime.store.dialects import is_postgresql, upsert
from inyeon.runtime.store.many import arrays, given
from inyeon.runtime.store.port import Store, Transaction
from inyeon.runtime.store.repeating import repeating
from inyeon.runtime.streams.port import SessionInfo
from inyeon.runtime.streams.sessions import (
    OpenedSession,
    Progress,
    foreign_session,
    superseded,
)

TABLE = "stream_sessions"
_GIVEN = ("stream", "session_id", "epoch", "acknowledged")


def session_tables(metadata: MetaData) -> Table:
    """Adds `stream_sessions` to a service's tables and returns it; times are UTC."""
    return Table(
        TABLE,
        metadata,
        Column("stream", String(16), primary_key=True),
        Column("session_id", String(64), primary_key=True),
        Column("user_id", String(64), nullable=False),
        Column("client_id", String(64), nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("acknowledged", BigInteger, nullable=False),
        Column("last_sent", BigInteger, nullable=False),
        Column("opened_at", DateTime, nullable=False),
        Index("ix_stream_sessions_opened_at", "opened_at"),
    )


class StoreSessions:
    """Sessions in a table of the store, which the service made with `session_tables`."""

    def __init__(self, store: Store, table: Table, clock: Clock) -> None:
        self._store = store
        self._table = table
        self._clock = clock

    @repeating
    async def open(
        self, stream: str, user_id: str, client_id: str, session_id: str
    ) -> OpenedSession:
        async with self._store.transaction() as tx:
            # First of all: it holds the user, so two opens of one session come one after the other.
            epoch = await tx.next_version(f"stream-epoch:{stream}:{user_id}")
            fresh = {"client_id": client_id, "epoch": epoch, "opened_at": self._utc_now()}
            key = {"stream": stream, "session_id": session_id, "user_id": user_id}
            begun = {"acknowledged": 0, "last_sent": 0}
            adding = upsert(tx.connection, self._table).values(key | begun | fresh)
            added = await tx.connection.execute(adding.on_conflict_do_nothing())
            if added.rowcount:
                return OpenedSession(epoch, 0, 0, resumed=False)
            row = await self._locked_row(tx.connection, stream, session_id)
            if row is None:
                raise StoreConflict("the session was forgotten at this very moment")
            if row["user_id"] != user_id:
                raise foreign_session()
            is_it = self._is(stream, session_id)
            await tx.connection.execute(update(self._table).where(is_it).values(fresh))
            return OpenedSession(epoch, row["acknowledged"], row["last_sent"], resumed=True)

    async def record(self, tx: Transaction, items: Sequence[Progress]) -> frozenset[SessionInfo]:
        if not items:
            return frozenset()
        if is_postgresql(tx.connection):
            return await self._advance(tx.connection, items)
        rows = await self._rows(tx.connection, items)
        gone = [info for info, _ in items if not _holds(info, rows)]
        changes = [
            {"b_stream": info.stream, "b_session": info.session_id, "through": through}
            for info, through in items
            if _holds(info, rows) and through > rows[info.stream, info.session_id]["acknowledged"]
        ]
        if changes:
            await tx.connection.execute(self._advance_many(), changes)
        return frozenset(gone)

    @repeating
    async def acknowledge(self, info: SessionInfo, through: int) -> None:
        async with self._store.transaction() as tx:
            if await self.record(tx, [(info, through)]):
                raise superseded(info)

    @repeating
    async def leave(self, info: SessionInfo, last_sent: int) -> None:
        table = self._table.c
        mine = and_(self._is(info.stream, info.session_id), table.epoch == info.epoch)
        newer = and_(mine, table.last_sent < last_sent)
        async with self._store.transaction() as tx:
            statement = update(self._table).where(newer).values(last_sent=last_sent)
            await tx.connection.execute(statement)

    @repeating
    async def prune(self, before: datetime) -> int:
        limit = before.astimezone(UTC).replace(tzinfo=None)
        async with self._store.transaction() as tx:
            old = delete(self._table).where(self._table.c.opened_at < limit)
            return (await tx.connection.execute(old)).rowcount

    async def _locked_row(
        self, connection: AsyncConnection, stream: str, session_id: str
    ) -> RowMapping | None:
        # Row locks matter on PostgreSQL; SQLite has one writer and leaves them out.
        statement = select(self._table).where(self._is(stream, session_id)).with_for_update()
        return (await connection.execute(statement)).mappings().one_or_none()

    async def _rows(
        self, connection: AsyncConnection, items: Sequence[Progress]
    ) -> Mapping[tuple[str, str], RowMapping]:
        names = {info.session_id for info, _ in items}
        statement = select(self._table).where(self._table.c.session_id.in_(names))
        found = (await connection.execute(statement)).mappings()
        return {(row["stream"], row["session_id"]): row for row in found}

    async def _advance(
        self, connection: AsyncConnection, items: Sequence[Progress]
    ) -> frozenset[SessionInfo]:
        """All of `record` in one statement (PostgreSQL)."""
        most: dict[tuple[str, str, int], int] = {}
        for info, through in items:
            most[_key(info)] = max(through, most.get(_key(info), 0))
        rows = [dict(zip(_GIVEN, (*key, through), strict=True)) for key, through in most.items()]
        done = await connection.execute(_advancing(self._table), arrays(rows))
        held = {tuple(row) for row in done}
        return frozenset(info for info, _ in items if _key(info) not in held)

    def _advance_many(self) -> Any:
        table = self._table.c
        is_it = and_(
            table.stream == bindparam("b_stream"),
            table.session_id == bindparam("b_session"),
            table.acknowledged < bindparam("through"),
        )
        return update(self._table).where(is_it).values(acknowledged=bindparam("through"))

    def _is(self, stream: str, session_id: str) -> Any:
        return and_(self._table.c.stream == stream, self._table.c.session_id == session_id)

    def _utc_now(self) -> datetime:
        return self._clock.now().replace(tzinfo=None)


def _key(info: SessionInfo) -> tuple[str, str, int]:
    return info.stream, info.session_id, info.epoch


def _holds(info: SessionInfo, rows: Mapping[tuple[str, str], RowMapping]) -> bool:
    row = rows.get((info.stream, info.session_id))
    return row is not None and row["epoch"] == info.epoch


@cache
def _advancing(table: Table) -> Any:
    """Rows are locked in one order first, so that two group commits never wait for each other in a
    ring; then those that hold advance and are returned."""
    key = _GIVEN[:-1]
    new = given(table, _GIVEN)
    same = [table.c[name] == new.c[name] for name in key]
    locked = (
        select(*[table.c[name] for name in key], new.c.acknowledged.label("through"))
        .join_from(table, new, and_(*same))
        .order_by(table.c.stream, table.c.session_id)
        .with_for_update(of=table)
        .cte("locked")
    )
    through = func.greatest(table.c.acknowledged, locked.c.through)
    is_it = [table.c[name] == locked.c[name] for name in key]
    advancing = update(table).where(*is_it).values(acknowledged=through)
    return advancing.returning(*[table.c[name] for name in key])
