"""Accept or decline a proposed match, where the operator lets people choose."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import close_match
from inyeon.matching.app.state import tell_match
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.news import MatchOver


async def accept(desk: Desk, user_id: str, match_id: str) -> None:
    """Says yes. With the second yes both get their grants; a yes after the deadline is none: the
    device is told that it is over. Raises StoreUnavailable."""
    match = _theirs(desk, user_id, match_id)
    if match is not None and not match.agreed:
        async with desk.hall.changing:
            match = await desk.book.accept(match, user_id, desk.clock.now())
            if match is not None:
                desk.hall.meetings.replace(match)
    if match is None:
        over = MatchOver(match_id, EndReason.NOT_ACCEPTED, by_me=False)
        await desk.teller.tell(user_id, over)
        return
    for one in match.users if match.agreed else ():
        desk.hall.offered.pop(one, None)
    for one in match.users if match.agreed else (user_id,):
        await tell_match(desk, match, one)


async def decline(desk: Desk, user_id: str, match_id: str) -> None:
    """Says no; the other one waits again at once. A match that both accepted, or that is over, is
    not declined any more: the device is told how it stands."""
    match = _theirs(desk, user_id, match_id)
    if match is None:
        over = MatchOver(match_id, EndReason.DECLINED, by_me=True)
        await desk.teller.tell(user_id, over)
    elif match.agreed:
        await tell_match(desk, match, user_id)
    else:
        await close_match(desk, match, EndReason.DECLINED, user_id, frozenset({user_id}))


def _theirs(desk: Desk, user_id: str, match_id: str) -> LiveMatch | None:
    match = desk.hall.meetings.of_user(user_id)
    return match if match is not None and match.match_id == match_id else None
