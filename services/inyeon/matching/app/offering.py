"""Offer to widen a wish, at the starvation bound. The person decides; nothing relaxes by itself."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.policies import bound_s
from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.pool import Look
from inyeon.matching.domain.starving import is_due, offer


async def offer_widening(desk: Desk) -> None:
    """To everybody who has waited up to the bound; about once a second. Who is paused, or whom
    nobody may be proposed to, is offered nothing: a filter is not why they wait."""
    hall, now = desk.hall, desk.clock.monotonic()
    if hall.service_away or not hall.rebuilt.is_set():
        return
    for look in hall.pool.looks(now):
        # Still the ticket that waits, after each await.
        if offer_due(desk, look) and hall.pool.of_user(look.ticket.user_id) is look.ticket:
            await _offer(desk, look, now)


def offer_due(desk: Desk, look: Look) -> bool:
    """An offer to this person is due, whether or not its figures are there."""
    if look.paused or look.gate is not Gate.OPEN:
        return False
    before = desk.hall.offers.get(look.ticket.user_id)
    return is_due(look.waited_s, before, bound_s(desk, look.ticket.person.country))


async def _offer(desk: Desk, look: Look, now: float) -> None:
    user_id = look.ticket.user_id
    bound = bound_s(desk, look.ticket.person.country)
    made = offer(look, desk.hall.costs.get(user_id), now, bound)
    if made is not None:
        desk.hall.offers[user_id] = made
        desk.meter.offered(made.estimated)
        await desk.teller.tell(user_id, made)
