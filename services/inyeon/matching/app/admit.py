"""Admit: tickets that the log holds come into the pool of its owner; ended ones go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.ports import Facts
from inyeon.matching.domain.pool import Bar, Standing
from inyeon.matching.domain.tickets import Ticket, TicketEnd

RENEWED_EVERY = timedelta(seconds=30)
"""A waiting ticket is written again so often."""


@dataclass(frozen=True, slots=True)
class EndedTicket:
    """A ticket that is over, as the log says."""

    ticket_id: str
    user_id: str


async def admit(desk: Desk, read: Sequence[Ticket | EndedTicket]) -> None:
    """Takes in what was read, in order. Raises StoreUnavailable; then nothing was taken in."""
    over = {entry.ticket_id for entry in read if isinstance(entry, EndedTicket)}
    for entry in read:
        if isinstance(entry, EndedTicket):
            _remove(desk, entry)
    fresh = {
        entry.ticket_id: entry
        for entry in read
        if isinstance(entry, Ticket) and entry.ticket_id not in over and _is_new(desk, entry)
    }
    if fresh:
        await _take_in(desk, list(fresh.values()))
    for entry in read:
        if isinstance(entry, Ticket) and entry.ticket_id not in over and _is_second(desk, entry):
            await _end_unheard(desk, entry)


def standing(facts: Facts, desk: Desk) -> Standing:
    """Facts in the pool's times."""
    return Standing(
        facts.verdict,
        moment(desk, facts.sanctioned_until, -math.inf),
        moment(desk, facts.cools_until, -math.inf),
    )


def moment(desk: Desk, at: datetime | None, otherwise: float) -> float:
    """A wall time on the monotonic clock."""
    if at is None:
        return otherwise
    return desk.clock.monotonic() + (at - desk.clock.now()).total_seconds()


def _is_new(desk: Desk, ticket: Ticket) -> bool:
    """Renewals of waiting tickets and those of other pools are none of ours."""
    return ticket.pool == desk.pool and desk.hall.pool.of_user(ticket.user_id) is None


def _is_second(desk: Desk, ticket: Ticket) -> bool:
    """Its sender saw the log fail, or another replica took it: the user has another ticket."""
    waiting = desk.hall.pool.of_user(ticket.user_id)
    return (
        ticket.pool == desk.pool and waiting is not None and waiting.ticket_id != ticket.ticket_id
    )


async def _end_unheard(desk: Desk, ticket: Ticket) -> None:
    """Ends a ticket without a word: what its user waits with, or has met by, goes on."""
    if await desk.book.end_ticket(ticket, TicketEnd.CANCELLED, desk.clock.now()):
        desk.meter.ticket_over(TicketEnd.CANCELLED)
    desk.hall.drop(ticket)


def _remove(desk: Desk, ended: EndedTicket) -> None:
    ticket = desk.hall.ticket_of(ended.user_id)
    if ticket is not None and ticket.ticket_id == ended.ticket_id:
        desk.hall.drop(ticket)


async def _take_in(desk: Desk, tickets: list[Ticket]) -> None:
    await desk.book.see_devices(tickets, desk.clock.now())
    users = [ticket.user_id for ticket in tickets]
    ids = [ticket.ticket_id for ticket in tickets]
    facts, over = await desk.book.look(users, ids, desk.clock.now())
    for ticket in tickets:
        known = facts.get(ticket.user_id, Facts())
        if ticket.ticket_id in over:
            desk.hall.drop(ticket)
        elif known.in_match:
            await _end_unheard(desk, ticket)
        else:
            _add(desk, ticket, known)


def _since_made(desk: Desk, ticket: Ticket) -> timedelta:
    """How long ago a ticket began, by the clock that made it where that was ours. For another's it
    lies between what was written with it and a renewal later: clocks may differ by minutes, and
    nobody shall have waited minutes, and widened a wish, by that."""
    since = desk.clock.now() - ticket.created_at
    mine = desk.hall.on_the_way.get(ticket.user_id)
    if mine is not None and mine.ticket_id == ticket.ticket_id:
        return since
    least = timedelta(seconds=ticket.waited_s + ticket.paused_s)
    return min(max(since, least), least + RENEWED_EVERY)


def _add(desk: Desk, ticket: Ticket, facts: Facts) -> None:
    hall, now = desk.hall, desk.clock.monotonic()
    bars = [Bar(other, moment(desk, at, math.inf)) for other, at in (facts.bars or {}).items()]
    started = desk.started(_since_made(desk, ticket))
    if not hall.pool.add(ticket, now, started, standing(facts, desk), bars):
        return  # the user has another ticket here
    hall.arrive(ticket)
    sign = hall.signs.get(ticket.user_id)
    if sign is not None:
        hall.pool.heartbeat(ticket.user_id, sign.heard_at, sign.present, sign.pass_until)
    hall.untold.add(ticket.user_id)
