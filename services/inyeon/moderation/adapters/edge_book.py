"""Edges: these two never meet. Stored both ways, published both ways."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from inyeon.moderation.adapters import events
from inyeon.moderation.adapters.tables import edges
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.port import Transaction

BLOCK = "BLOCK"
REPORT = "REPORT"


async def record_edges(
    tx: Transaction, user_id: str, other_id: str, kind: str, at: datetime
) -> None:
    """Records both directions. The same kind again changes and publishes nothing; a BLOCK is not
    weakened to a REPORT."""
    # In one order, whoever blocks whom: two who block each other at once do not wait in a ring.
    for one, other in sorted([(user_id, other_id), (other_id, user_id)]):
        await _record(tx, one, other, kind, at)


async def _record(tx: Transaction, user_id: str, other_id: str, kind: str, at: datetime) -> None:
    # What is read below must still be so when it is written: a BLOCK may be on its way.
    await tx.hold(f"edge:{user_id}/{other_id}")
    where = (edges.c.user_id == user_id) & (edges.c.other_id == other_id)
    known = (await tx.connection.execute(select(edges.c.kind).where(where))).scalar_one_or_none()
    if known in (kind, BLOCK):
        return
    version = await tx.next_version(f"edge:{user_id}/{other_id}")
    values = {"kind": kind, "recorded_at": microseconds(at), "version": version}
    adding = upsert(tx.connection, edges).values(user_id=user_id, other_id=other_id, **values)
    await tx.connection.execute(
        adding.on_conflict_do_update(index_elements=["user_id", "other_id"], set_=values)
    )
    await tx.emit(events.edge_recorded(user_id, other_id, kind, at, version))
