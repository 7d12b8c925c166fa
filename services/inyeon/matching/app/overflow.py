"""Overflow: a ticket ends in one pool as moved and waits on in the next, in one transaction.

The move is in the book with the pool that the person is in now, so whichever replica is asked about
them knows where to send their device.
"""

from __future__ import annotations

from dataclasses import replace

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.ports import Rooms
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.tickets import Ticket, TicketEnd


async def overflow(desk: Desk, rooms: Rooms) -> None:
    """Moves everybody whose time here is up, as far as the next pool takes them. Raises
    StoreUnavailable; who was not moved is tried again."""
    rules = desk.overflow
    if rules is None or not desk.hall.rebuilt.is_set():
        return
    left: dict[str, int] = {}
    for look in desk.hall.pool.looks(desk.clock.monotonic()):
        ticket = look.ticket
        target = rules.next_pool(ticket.person.country, desk.pool, look.waited_s)
        if target is None or look.paused:
            continue
        if target not in left:
            left[target] = await rooms.room(target)
        if left[target] > 0 and await _move(desk, ticket, target, look.waited_s):
            left[target] -= 1


def room(desk: Desk) -> int:
    """How many more tickets a pool takes that this replica owns."""
    if desk.hall.mode is not PoolMode.OPEN:
        return 0
    return max(desk.max_waiting - len(desk.hall.pool) - len(desk.hall.on_the_way), 0)


async def whereabouts(desk: Desk, user_id: str, country: str) -> str | None:
    """The pool where the device is to be sent, None where it is right here. Raises
    StoreUnavailable.

    The book is asked only about people who have been moved; everybody else costs nothing.
    """
    hall, rules = desk.hall, desk.overflow
    if rules is None or hall.ticket_of(user_id) or hall.meetings.of_user(user_id):
        return None
    home = rules.home(country)
    if home == desk.pool and user_id not in hall.away:
        return None
    place = await desk.book.place_of(user_id) or home
    if place == desk.pool:
        hall.away.discard(user_id)
        return None
    return place


async def _move(desk: Desk, ticket: Ticket, target: str, waited_s: float) -> bool:
    hall = desk.hall
    async with hall.lock(ticket.user_id):
        if hall.pool.of_user(ticket.user_id) is not ticket or desk.overflow is None:
            return False  # it ended while others were moved
        paused_s = max(hall.pool.paused_s(ticket.user_id, desk.clock.monotonic()), 0.0)
        moved = replace(
            ticket, ticket_id=desk.new_id(), pool=target, paused_s=paused_s, waited_s=waited_s
        )
        home, now = desk.overflow.home(ticket.person.country), desk.clock.now()
        if not await desk.book.move_ticket(ticket, moved, home, desk.replica, now):
            return False  # another end was first; the log says which
        hall.drop(ticket)
        if home == desk.pool:
            hall.away.add(ticket.user_id)
        desk.meter.ticket_over(TicketEnd.MOVED)
        return True
