"""Tell somebody where they stand: in a match, waiting (with why), or nowhere."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.gates import PAUSES, Gate, WaitReason, wait_reason
from inyeon.matching.domain.matches import LiveMatch
from inyeon.matching.domain.news import Matched, Paused, Proposed, Queued
from inyeon.matching.domain.pool import Look
from inyeon.matching.domain.tickets import Ticket

TOLD_EVERY_S = 5.0
"""What has not changed is told again after so long, with the waiting time."""


async def tell_state(desk: Desk, user_id: str) -> None:
    """Current state of a user, after a stream opened or a repeated wish; nothing for nowhere."""
    match, coming = desk.hall.meetings.of_user(user_id), desk.hall.on_the_way.get(user_id)
    if match is not None:
        await tell_match(desk, match, user_id)
    elif desk.hall.pool.of_user(user_id) is not None:
        await tell_waiting(desk, desk.hall.pool.look(user_id, desk.clock.monotonic()), force=True)
        if (offer := desk.hall.offers.get(user_id)) is not None:
            await desk.teller.tell(user_id, offer)
    elif coming is not None:
        await desk.teller.tell(user_id, _coming(coming))


async def tell_match(desk: Desk, match: LiveMatch, user_id: str) -> None:
    """The match with a fresh grant; one that not both have accepted yet, with the time left."""
    if match.accept_until is not None and not match.agreed:
        left_s = max((match.accept_until - desk.clock.now()).total_seconds(), 0.0)
        await desk.teller.tell(user_id, Proposed(match, left_s))
        return
    grant = desk.grants.sign(match, user_id, desk.clock.now())
    await desk.teller.tell(user_id, Matched(match, grant))


async def tell_waiting(desk: Desk, look: Look, force: bool = False) -> None:
    """Paused or queued, with the reason; unless it is forced, only where that is news."""
    news, now, user_id = _standing(desk, look), desk.clock.monotonic(), look.ticket.user_id
    told = desk.hall.told.get(user_id)
    if force or told is None or _is_news(told, news, now):
        desk.hall.told[user_id] = now, news
        await desk.teller.tell(user_id, news)


def _is_news(told: tuple[float, Queued | Paused], news: Queued | Paused, now: float) -> bool:
    at, before = told
    changed = type(before) is not type(news) or before.reason is not news.reason
    return changed or at + TOLD_EVERY_S <= now


def _standing(desk: Desk, look: Look) -> Queued | Paused:
    ticket, hall = look.ticket, desk.hall
    if look.paused and look.gate in PAUSES:
        cooling = look.gate is Gate.COOL_DOWN
        now = desk.clock.monotonic()
        left_s = hall.pool.cools_s(ticket.user_id, now) if cooling else None
        return Paused(ticket.ticket_id, PAUSES[look.gate], left_s)
    fitting = hall.fitting.get(ticket.user_id, 0)
    reason = wait_reason(look.gate, others=len(hall.pool) - 1, candidates=fitting)
    if hall.service_away:
        reason = WaitReason.SERVICE_PAUSED
    _, costs = hall.costs.get(ticket.user_id, (0.0, ()))
    return Queued(ticket.ticket_id, reason, look.waited_s, fitting, costs)


def _coming(ticket: Ticket) -> Queued:
    """Being written to the log: the next wave sees it first."""
    return Queued(ticket.ticket_id, WaitReason.NEXT_WAVE, ticket.waited_s, 0)
