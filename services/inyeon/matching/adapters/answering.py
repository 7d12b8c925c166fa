"""What people answer to a proposal, and how their own faults are counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters import events
from inyeon.matching.adapters.rows import match_from_row, match_to_json, micros
from inyeon.matching.adapters.tables import faults, live_matches
from inyeon.matching.domain.faults import FORGIVEN_AFTER_S, FaultRules, cool_down_s
from inyeon.matching.domain.matches import LiveMatch
from inyeon.runtime.store.dialects import upsert
from inyeon.runtime.store.port import Transaction


async def accept_match(
    tx: Transaction, match_id: str, user_id: str, at: datetime
) -> LiveMatch | None:
    """Keeps a yes; with the second one the match is live, and said to be. None: it is over, or the
    yes comes too late."""
    table = live_matches.c
    # The row stays locked: of two answers at once the later one sees the earlier.
    asked = select(table.pool, table.started_us, table.match).where(table.match_id == match_id)
    row = (await tx.connection.execute(asked.with_for_update())).one_or_none()
    if row is None:
        return None
    match = match_from_row(match_id, *row)
    if match.agreed:
        return match
    if match.accept_until is None or at > match.accept_until:
        return None
    match = replace(match, accepted=match.accepted | {user_id})
    keeping = update(live_matches).where(table.match_id == match_id)
    await tx.connection.execute(keeping.values(match=match_to_json(match)))
    if match.agreed:
        version = await tx.next_version(f"match:{match_id}")
        await tx.emit(events.match_live(match, version))
    return match


async def count_fault(
    connection: AsyncConnection, user_id: str, at: datetime, rules: FaultRules
) -> None:
    """One more fault in a row, or the first of a new row; with the cool-down that it brings."""
    before = select(faults.c.count, faults.c.last_us).where(faults.c.user_id == user_id)
    row = (await connection.execute(before)).one_or_none()
    recent = row is not None and row.last_us > micros(at) - FORGIVEN_AFTER_S * 1e6
    count = 1 + (int(row[0]) if row is not None and recent else 0)
    values = {
        "user_id": user_id,
        "count": count,
        "last_us": micros(at),
        "until_us": micros(at + timedelta(seconds=cool_down_s(count, rules))),
    }
    adding = upsert(connection, faults).values(values)
    await connection.execute(adding.on_conflict_do_update(index_elements=["user_id"], set_=values))
