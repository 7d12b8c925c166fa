"""Open asks for one picture: whom, until when, taken once."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.moderation.adapters.sql import moment
from inyeon.moderation.adapters.tables import evidence_asks
from inyeon.moderation.app.ports import Ask
from inyeon.moderation.errors import EvidenceNotAsked
from inyeon.runtime.store.dialects import microseconds


async def put(connection: AsyncConnection, ask: Ask) -> None:
    """Keeps an ask."""
    values = asdict(ask) | {
        "raised_at": microseconds(ask.raised_at),
        "expires_at": microseconds(ask.expires_at),
    }
    await connection.execute(evidence_asks.insert().values(values))


async def take(
    connection: AsyncConnection, directive_id: str, user_id: str, request_id: str, at: datetime
) -> Ask | None:
    """Takes an open ask; None where the same request took it before. Raises EvidenceNotAsked: one
    answer says nothing about which directives there are."""
    mine = (evidence_asks.c.directive_id == directive_id) & (evidence_asks.c.user_id == user_id)
    taking = update(evidence_asks).where(
        mine,
        evidence_asks.c.answered_by.is_(None),
        evidence_asks.c.expires_at > microseconds(at),
    )
    taken = taking.values(answered_by=request_id).returning(*evidence_asks.c)
    row = (await connection.execute(taken)).one_or_none()
    if row is not None:
        return _ask(row)
    by = (await connection.execute(select(evidence_asks.c.answered_by).where(mine))).scalar()
    if by == request_id:
        return None
    raise EvidenceNotAsked("nobody asked you for a picture now", field="directive_id")


async def forget(connection: AsyncConnection, at: datetime) -> int:
    """Removes asks whose time is over; returns how many."""
    over = delete(evidence_asks).where(evidence_asks.c.expires_at < microseconds(at))
    return (await connection.execute(over)).rowcount


def _ask(row: Row[Any]) -> Ask:
    return Ask(
        row.directive_id,
        row.user_id,
        row.session_id,
        row.escalation_id,
        row.match_id,
        row.reason,
        moment(row.raised_at),
        moment(row.expires_at),
    )
