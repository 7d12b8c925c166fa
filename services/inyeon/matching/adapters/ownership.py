"""Who owns a pool: one row with an epoch and a lease, by the database's own clock.

Replicas' clocks may differ by minutes, so on PostgreSQL neither the end of a lease nor "now" is
ever taken from one of them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, case, cast, extract, func, literal, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.tables import pool_owners
from inyeon.runtime.clock import Clock
from inyeon.runtime.store.dialects import microseconds, upsert

# Renewed every second: three renewals may fail. A dead owner's pool is taken after 4 s and rebuilt
# in one or two, so that devices meet again within 10 s.
LEASE_S = 4.0


async def hold(
    connection: AsyncConnection,
    clock: Clock,
    pool: str,
    owner: str,
    epoch: int,
    *,
    patience_s: float = 0.0,
    table: Table = pool_owners,
) -> int | None:
    """Renews the lease of `epoch`, or takes a pool whose lease ended `patience_s` ago, with the
    next epoch. A pool that nobody ever had is free at once. Seats are a table of their own.

    `epoch` 0 is a process that has just started: it takes at once what its own name still holds.
    None where another replica owns the pool.
    """
    now = now_us(connection, clock)
    mine = literal(epoch, BigInteger)
    until = now + int(LEASE_S * 1e6)
    insert = upsert(connection, table).values(pool=pool, epoch=1, replica=owner, expires_us=until)
    free = [table.c.epoch == mine, table.c.expires_us <= now - int(patience_s * 1e6)]
    if epoch == 0:
        free.append(table.c.replica == owner)
    values: dict[str, Any] = {
        "epoch": case((table.c.epoch == mine, table.c.epoch), else_=table.c.epoch + 1),
        "replica": owner,
        "expires_us": until,
    }
    statement = insert.on_conflict_do_update(
        index_elements=[table.c.pool], set_=values, where=or_(*free)
    )
    found = await connection.execute(statement.returning(table.c.epoch))
    taken = found.scalar_one_or_none()
    return None if taken is None else int(taken)


async def give_up(
    connection: AsyncConnection, clock: Clock, pool: str, epoch: int, *, table: Table = pool_owners
) -> None:
    """Ends the lease of `epoch` now, so that the next owner need not wait for its end."""
    mine = (table.c.pool == pool) & (table.c.epoch == epoch)
    ended = table.update().where(mine).values(expires_us=now_us(connection, clock))
    await connection.execute(ended)


def now_us(connection: AsyncConnection, clock: Clock) -> ColumnElement[int]:
    """The database's time in microseconds since 1970; SQLite has one process's clock."""
    if connection.dialect.name == "sqlite":
        return literal(microseconds(clock.now()), BigInteger)
    return cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
