"""End a match, whoever ends it: a person, the policy, or a device that vanished."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.seek import publish_again, renewed
from inyeon.matching.domain.matches import BY_DEVICE, EndReason, LiveMatch
from inyeon.matching.domain.news import MatchOver
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.errors import InvalidRequest


async def end_match(desk: Desk, user_id: str, match_id: str, reason: EndReason) -> None:
    """A person ends their match. One that is not theirs or not live any more: nothing happens, and
    they are told that it is over: the device was away when the other side ended it.

    Raises InvalidRequest (REASON_NOT_YOURS) for a reason that only the platform gives.
    """
    if reason not in BY_DEVICE:
        raise InvalidRequest(
            f"{reason.name} is for the platform to say",
            reason="REASON_NOT_YOURS",
            field="end_match.reason",
        )
    match = desk.hall.meetings.of_user(user_id)
    if match is not None and match.match_id == match_id:
        if reason is not EndReason.REPORTED and not match.agreed:
            reason = EndReason.DECLINED
        await close_match(desk, match, reason, user_id, _to_blame(desk, match, user_id, reason))
    else:
        await desk.teller.tell(user_id, MatchOver(match_id, reason, by_me=True))


async def close_match(
    desk: Desk,
    match: LiveMatch,
    reason: EndReason,
    ended_by: str = "",
    to_blame: frozenset[str] = frozenset(),
) -> None:
    """Ends a live match in the book, then here, and tells both, once. Who is not to blame for a
    proposal that came to nothing waits again at once."""
    async with desk.hall.lock(f"match {match.match_id}"):  # the first end wins, blame included
        if desk.hall.meetings.of_user(match.first.user_id) is None:
            return
        await desk.book.end_match(match, reason, ended_by, desk.clock.now(), to_blame)
        if not desk.hall.meetings.end(match.match_id):
            return
        # Before anything else can happen: who calls off now must find the ticket.
        again = _tickets_again(desk, match, to_blame)
    desk.meter.over(reason)
    if desk.sessions is not None:
        desk.sessions.ended(match, reason, desk.clock.now())
    if desk.watch is not None and reason is EndReason.REPORTED:
        desk.watch.reported(match)
    for user_id in match.users:
        await desk.teller.tell(
            user_id, MatchOver(match.match_id, reason, by_me=user_id == ended_by)
        )
    for ticket in again:
        await publish_again(desk, ticket)


def _tickets_again(desk: Desk, match: LiveMatch, to_blame: frozenset[str]) -> list[Ticket]:
    again = []
    for side in match.sides:
        ticket = desk.hall.offered.pop(side.user_id, None)
        if ticket is not None and side.user_id not in to_blame:
            again.append(renewed(desk, ticket, side.waited_s))
    return again


def _to_blame(desk: Desk, match: LiveMatch, user_id: str, reason: EndReason) -> frozenset[str]:
    """Who reports somebody is not to blame for the end. For a call that could not be set up it is
    whose device is silent; where both are there, nobody is: a network between them failed."""
    if reason is EndReason.CONNECT_FAILED:
        return desk.hall.meetings.silent(match, desk.clock.monotonic()) - {user_id}
    reported = reason is EndReason.REPORTED
    return frozenset({match.partner(user_id).user_id if reported else user_id})


async def lose_matches(desk: Desk) -> None:
    """Ends matches of silent devices, and proposals that not both accepted in time; who is not to
    blame keeps their waiting time."""
    for match in desk.hall.meetings.unanswered(desk.clock.now()):
        missing = frozenset(match.users) - match.accepted
        await close_match(desk, match, EndReason.NOT_ACCEPTED, to_blame=missing)
    for match, silent in desk.hall.meetings.lost(desk.clock.monotonic()):
        await close_match(desk, match, EndReason.LOST, to_blame=silent)
