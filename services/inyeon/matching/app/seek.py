"""Seek: somebody wants to meet somebody. One ticket a user, however often they ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import structlog

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.policies import check_age
from inyeon.matching.app.state import tell_state
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.people import Person
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon.runtime.errors import InvalidRequest, LogUnavailable, Overloaded

DRAINING_S = 30.0  # an operator drains for minutes: devices that ask twice a minute cost nothing

_log = structlog.get_logger(__name__)


async def seek(
    desk: Desk, person: Person, wish: Wish, session_id: str, device_key: str = ""
) -> None:
    """Makes a ticket that is in the log when this returns, or tells of the one there is.

    Raises NotAllowed (MINORS_NOT_SERVED) by the policy of the person's country, InvalidRequest
    (COUNTRY_UNKNOWN) for a wish that nobody could ever meet, Overloaded when
    the pool is full, drains or has too many embedding spaces, LogUnavailable, StoreUnavailable.
    """
    check_age(desk, person)
    _check_countries(desk, wish)
    hall = desk.hall
    async with hall.lock(person.user_id):
        if hall.meetings.of_user(person.user_id) or hall.ticket_of(person.user_id):
            await tell_state(desk, person.user_id)
            return
        if hall.mode is PoolMode.DRAINING:
            raise Overloaded(
                "nobody new comes in", retry_after_s=DRAINING_S, reason="POOL_DRAINING"
            )
        if len(hall.pool) + len(hall.on_the_way) >= desk.max_waiting:
            raise Overloaded("the pool is full", retry_after_s=5.0, reason="POOL_FULL")
        if not hall.pool.has_room_for(wish.interests.space):
            message = "too many different embedding spaces wait here"
            raise Overloaded(message, retry_after_s=30.0, reason="TOO_MANY_SPACES")
        ticket = await _ticket(desk, person, wish, session_id)
        await _publish(desk, replace(ticket, device=desk.hash_device(device_key)))


def _check_countries(desk: Desk, wish: Wish) -> None:
    """Nobody ever comes from a country that does not exist: better told now than never."""
    unknown = wish.countries - desk.countries
    if desk.countries and unknown:
        message = f"ISO 3166-1 assigns no {', '.join(sorted(unknown))}"
        raise InvalidRequest(message, reason="COUNTRY_UNKNOWN", field="wish.countries")


def renewed(desk: Desk, ticket: Ticket, waited_s: float) -> Ticket:
    """A new ticket like a former one, with the time waited before, for somebody who did not come to
    meet anybody by it; on its way from now."""
    began = desk.clock.now() - timedelta(seconds=waited_s)
    again = replace(ticket, ticket_id=desk.new_id(), created_at=began, paused_s=0.0)
    again = replace(again, waited_s=waited_s)
    desk.hall.on_the_way[again.user_id] = again
    return again


async def publish_again(desk: Desk, ticket: Ticket) -> None:
    """Writes it, unless its user has called it off by now. With the log away the credit in the book
    stays: their device asks again."""
    if desk.hall.on_the_way.get(ticket.user_id) is not ticket:
        return
    try:
        await desk.tickets.publish([ticket])
    except LogUnavailable as error:
        desk.hall.arrive(ticket)
        _log.warning("ticket.not_renewed", error=str(error))


async def _ticket(desk: Desk, person: Person, wish: Wish, session_id: str) -> Ticket:
    now = desk.clock.now()
    credit_s = await desk.book.credit(person.user_id, now)
    began = now - timedelta(seconds=credit_s)
    ticket = Ticket(desk.new_id(), person, wish, desk.pool, began, 0.0, session_id)
    return replace(ticket, waited_s=credit_s)


async def _publish(desk: Desk, ticket: Ticket) -> None:
    desk.hall.on_the_way[ticket.user_id] = ticket
    try:
        await desk.tickets.publish([ticket])
    except BaseException:
        desk.hall.on_the_way.pop(ticket.user_id, None)
        raise
