"""People who were moved from one pool to another, in matching's store."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Delete, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters import events
from inyeon.matching.adapters.rows import micros
from inyeon.matching.adapters.tables import live_matches, live_users, moved_users, ticket_ends
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.runtime.store.dialects import upsert
from inyeon.runtime.store.port import Transaction

KEPT = timedelta(days=1)
"""Longer than anybody waits or meets; a move that is older means nothing."""


async def move(
    tx: Transaction, ticket: Ticket, moved: Ticket, home: str, replica: str, at: datetime
) -> None:
    """Notes the move of a ticket whose end is already written, and says both to the log."""
    row = {
        "user_id": ticket.user_id,
        "home": home,
        "pool": moved.pool,
        "ticket_id": moved.ticket_id,
        "moved_us": micros(at),
    }
    adding = upsert(tx.connection, moved_users).values(row)
    await tx.connection.execute(adding.on_conflict_do_update(index_elements=["user_id"], set_=row))
    ids = ticket.ticket_id, ticket.user_id, ticket.pool
    await tx.emit(events.ticket_ended(*ids, end_of(ticket, moved), at))
    await tx.emit(events.ticket_waiting(moved, replica, at))


def end_of(ticket: Ticket, moved: Ticket) -> TicketEnd:
    """Why a ticket waits on under another id."""
    return TicketEnd.MOVED if moved.pool != ticket.pool else TicketEnd.WIDENED


async def place_of(connection: AsyncConnection, user_id: str) -> str | None:
    """As in `Book`."""
    meets = (
        select(live_matches.c.pool)
        .join(live_users, live_users.c.match_id == live_matches.c.match_id)
        .where(live_users.c.user_id == user_id)
    )
    pool: str | None = await connection.scalar(meets)
    if pool is not None:
        return pool
    waits = select(moved_users.c.pool).where(
        moved_users.c.user_id == user_id, ~_end_of_move().exists()
    )
    pool = await connection.scalar(waits)
    return pool


async def moved_from(connection: AsyncConnection, home: str) -> frozenset[str]:
    """As in `Book`."""
    of_home = select(moved_users.c.user_id).where(moved_users.c.home == home)
    return frozenset(await connection.scalars(of_home))


def finished_moves(at: datetime) -> Delete:
    """Drops moves of tickets that are over and led to no live match, and what is older than a day.
    Before the ends of tickets are forgotten, which say so."""
    meets = select(live_users.c.user_id).where(live_users.c.user_id == moved_users.c.user_id)
    over = _end_of_move().exists() & ~meets.exists()
    return delete(moved_users).where(over | (moved_users.c.moved_us < micros(at - KEPT)))


def of_a_move() -> ColumnElement[bool]:
    """The end of a ticket that a move still names."""
    named = select(moved_users.c.ticket_id)
    return named.where(moved_users.c.ticket_id == ticket_ends.c.ticket_id).exists()


def _end_of_move() -> Select[tuple[str]]:
    ended = select(ticket_ends.c.ticket_id)
    return ended.where(ticket_ends.c.ticket_id == moved_users.c.ticket_id)
