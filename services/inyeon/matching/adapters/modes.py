"""Modes of pools in the store, so that they outlive restarts and hand-overs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.rows import micros
from inyeon.matching.adapters.tables import pool_modes
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode, in_force
from inyeon.runtime.store.dialects import upsert


async def modes_of(connection: AsyncConnection, pools: Sequence[str]) -> dict[str, PoolMode]:
    """In force for each of these pools, and for ALL_POOLS. A name that this version does not know
    counts as PAUSED."""
    names = [*pools, ALL_POOLS]
    rows = await connection.execute(
        select(pool_modes.c.pool, pool_modes.c.mode).where(pool_modes.c.pool.in_(names))
    )
    said = {pool: _mode(name) for pool, name in rows}
    everywhere = said.get(ALL_POOLS, PoolMode.OPEN)
    return {pool: in_force(said.get(pool, PoolMode.OPEN), everywhere) for pool in names}


async def keep_mode(
    connection: AsyncConnection, pool: str, mode: PoolMode, said_by: str, at: datetime
) -> None:
    """The newest word counts."""
    row = {"mode": mode.name, "said_by": said_by, "said_us": micros(at)}
    adding = upsert(connection, pool_modes).values(pool=pool, **row)
    await connection.execute(adding.on_conflict_do_update(index_elements=["pool"], set_=row))


def _mode(name: str) -> PoolMode:
    return PoolMode[name] if name in PoolMode.__members__ else PoolMode.PAUSED
