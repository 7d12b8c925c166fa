"""Apply what others decided: verdicts, blocks and reports, sanctions. Highest version wins."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import product

from inyeon.matching.app.admit import moment
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import close_match
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.people import Verdict


async def apply_verdict(desk: Desk, user_id: str, verdict: Verdict, version: int) -> None:
    """Anything but CLEAR pauses a ticket; PROTECT ends a live match by policy."""
    async with desk.hall.changing:
        if not await desk.book.record_verdict(user_id, verdict, version):
            return
        desk.hall.pool.judge(user_id, verdict)
    if verdict is Verdict.PROTECT:
        await _end_by_policy(desk, user_id)


async def apply_mark(desk: Desk, partition: int, committed_at: datetime) -> None:
    """Every verdict of the partition committed before has been read. Raises ValueError for a
    partition that is none."""
    first = not desk.hall.freshness.expected
    # A mark from the future, of a clock ahead of ours, is no younger than now.
    desk.hall.freshness.mark(partition, min(committed_at, desk.clock.now()))
    if first:  # once is enough: a later owner learns that marks are to be waited for
        await desk.book.record_mark(partition, committed_at)


async def apply_edge(desk: Desk, user_id: str, other_id: str, kind: str, version: int) -> None:
    """The two never meet again, by no account that was seen on their devices; a live match of
    theirs ends, and the other one is to blame."""
    async with desk.hall.changing:
        if not await desk.book.record_edge(user_id, other_id, kind, version):
            return
        ones, others = await desk.book.beside([user_id]), await desk.book.beside([other_id])
        for one, other in product(ones, others):
            if one != other:
                desk.hall.pool.bar(one, other, math.inf)
    for one in sorted(ones):
        match = desk.hall.meetings.of_user(one)
        if match is not None and match.partner(one).user_id in others:
            to_blame = frozenset({match.partner(one).user_id})
            await close_match(desk, match, EndReason.REPORTED, one, to_blame)


async def apply_sanction(desk: Desk, user_id: str, until: datetime | None, version: int) -> None:
    """A sanction pauses the ticket until it ends and ends a live match; None lifts it."""
    async with desk.hall.changing:
        if not await desk.book.record_sanction(user_id, until, version):
            return
        desk.hall.pool.sanction(user_id, moment(desk, until, -math.inf))
    if until is not None and until > desk.clock.now():
        await _end_by_policy(desk, user_id)


async def apply_erasure(desk: Desk, user_id: str) -> None:
    """A person is erased: their ticket and their match end as if they had gone, and what the book
    keeps of them goes."""
    if desk.hall.ticket_of(user_id) is not None:
        await cancel(desk, user_id)
    match = desk.hall.meetings.of_user(user_id)
    if match is not None:
        await close_match(desk, match, EndReason.LEFT, user_id)
    desk.hall.signs.pop(user_id, None)
    await desk.book.erase(user_id)


async def _end_by_policy(desk: Desk, user_id: str) -> None:
    match = desk.hall.meetings.of_user(user_id)
    if match is not None:
        await close_match(desk, match, EndReason.POLICY, to_blame=frozenset({user_id}))
