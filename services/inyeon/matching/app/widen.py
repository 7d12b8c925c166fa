"""Widen: somebody drops filters of their own wish while they wait. Their act, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.state import tell_state
from inyeon.matching.domain.filters import Filter
from inyeon.matching.domain.news import Cancelled
from inyeon.matching.domain.tickets import Ticket, TicketEnd


async def widen(desk: Desk, user_id: str, ticket_id: str, drops: frozenset[Filter]) -> None:
    """Ends the ticket and lets one without these filters wait on, with the time waited; both or
    neither is in the store when this returns. A ticket that is over, or has none of these filters,
    is left alone. The person is told where they stand. Raises StoreUnavailable."""
    hall = desk.hall
    async with hall.lock(user_id):
        ticket = hall.pool.of_user(user_id)
        if ticket is not None and ticket.ticket_id == ticket_id and drops & ticket.wish.filters:
            await _widen(desk, ticket, drops)
        if hall.ticket_of(user_id) is None and hall.meetings.of_user(user_id) is None:
            await desk.teller.tell(user_id, Cancelled("", TicketEnd.CANCELLED))
        else:
            await tell_state(desk, user_id)


async def _widen(desk: Desk, ticket: Ticket, drops: frozenset[Filter]) -> None:
    hall, now = desk.hall, desk.clock.monotonic()
    wider = replace(
        ticket,
        ticket_id=desk.new_id(),
        wish=ticket.wish.without(drops),
        paused_s=max(hall.pool.paused_s(ticket.user_id, now), 0.0),
        waited_s=hall.pool.look(ticket.user_id, now).waited_s,
    )
    home = desk.pool if desk.overflow is None else desk.overflow.home(ticket.person.country)
    if await desk.book.move_ticket(ticket, wider, home, desk.replica, desk.clock.now()):
        offer = hall.offers.get(ticket.user_id)
        hall.drop(ticket)
        hall.on_the_way[ticket.user_id] = wider
        if offer is not None:  # the next one is due a bound later
            hall.offers[ticket.user_id] = replace(offer, ticket_id=wider.ticket_id)
        desk.meter.ticket_over(TicketEnd.WIDENED)
