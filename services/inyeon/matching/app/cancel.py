"""Cancel and expire: a ticket ends without a match. The first end wins."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.news import Cancelled
from inyeon.matching.domain.tickets import Ticket, TicketEnd


async def cancel(desk: Desk, user_id: str) -> None:
    """Ends the user's ticket. In a match, or where a wave was first, nothing happens."""
    async with desk.hall.lock(user_id):
        ticket = desk.hall.ticket_of(user_id)
        if ticket is not None:
            await end_ticket(desk, ticket, TicketEnd.CANCELLED)
        elif desk.hall.meetings.of_user(user_id) is None:
            await desk.teller.tell(user_id, Cancelled("", TicketEnd.CANCELLED))


async def end_ticket(desk: Desk, ticket: Ticket, end: TicketEnd) -> None:
    """Ends a ticket and tells its user, unless it ended before."""
    ended = await desk.book.end_ticket(ticket, end, desk.clock.now())
    waited_s = _waited_s(desk, ticket)
    desk.hall.drop(ticket)
    if ended:
        desk.meter.ticket_over(end)
        if desk.watch is not None:
            desk.watch.ended(end, waited_s)
        desk.meter.waited(ticket, waited_s, end)
        await desk.teller.tell(ticket.user_id, Cancelled(ticket.ticket_id, end))


def _waited_s(desk: Desk, ticket: Ticket) -> float:
    """Of a ticket on its way: what it brought along."""
    pool = desk.hall.pool
    if pool.of_user(ticket.user_id) is not ticket:
        return ticket.waited_s
    return pool.look(ticket.user_id, desk.clock.monotonic()).waited_s
