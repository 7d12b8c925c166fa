"""Own the pool: one replica pairs, the others stand by and take over when its lease ends.

    standby --lease free--> rebuilding --log read--> owner --lease lost--> standby

Everything in the hall belongs to one epoch: who loses the pool forgets all of it and ends its
streams, which devices open again at the new owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import close_match
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.ports import Facts
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.people import Verdict
from inyeon.matching.errors import PoolLost
from inyeon.runtime.errors import Unavailable

EVERY_S = 1.0
"""The owner renews and a standby looks once a second; a lease lives 4 s."""
STARTED = 0
"""Epoch of a process that has not owned the pool: what its own name holds is its to take."""
LOST = -1
"""Epoch of a process that lost the pool: it waits for the end of the other's lease."""

Work = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)


async def own_pool(
    floor: Floor, desk: Desk, work: Sequence[Work], lost_it: Callable[[], None]
) -> None:
    """Stands by until the pool is free, then runs `work` as its owner; for as long as this task
    lives. Gives the pool up when it is cancelled, and when others have fewer."""
    held = STARTED
    while True:
        epoch = await _take(floor, desk, held)
        try:
            await _as_owner(floor, desk, epoch, work)
        except* PoolLost as lost:
            _log.warning("pool.lost", pool=desk.pool, epoch=epoch, error=str(lost.exceptions[0]))
            held = LOST
        finally:
            desk.meter.owns(False)
            desk.hall.reset()
            lost_it()


async def take_over(desk: Desk, epoch: int) -> None:
    """Begins a hall of that epoch with the live matches of the book; devices have 30 s from now to
    come back. Raises StoreUnavailable."""
    desk.hall.reset()
    expected = await desk.book.marks_expected()
    matches = await desk.book.live_matches(desk.pool)
    users = [user_id for match in matches for user_id in match.users]
    facts = await desk.book.facts(users, desk.clock.now()) if users else {}
    for match in matches:
        desk.hall.meetings.begin(match, desk.clock.monotonic())
    for match in matches:
        await _end_what_must_not_be(desk, match, facts)
    if desk.overflow is not None:
        desk.hall.away.update(await desk.book.moved_from(desk.pool))
    if desk.sessions is not None:
        desk.sessions.taken_over()
    desk.hall.freshness.expected = expected
    desk.hall.epoch = epoch


async def _end_what_must_not_be(desk: Desk, match: LiveMatch, facts: Mapping[str, Facts]) -> None:
    """A verdict, a sanction or a block may have come while nobody owned the pool: every replica
    read it, but none had the match."""
    to_blame = {user for user in match.users if _must_go(desk, facts.get(user, Facts()))}
    if to_blame:
        await close_match(desk, match, EndReason.POLICY, to_blame=frozenset(to_blame))
    elif _barred(facts.get(match.first.user_id, Facts()), match.second.user_id):
        await close_match(desk, match, EndReason.REPORTED, to_blame=frozenset(match.users))


def _must_go(desk: Desk, facts: Facts) -> bool:
    sanctioned = facts.sanctioned_until is not None and facts.sanctioned_until > desk.clock.now()
    return sanctioned or facts.verdict is Verdict.PROTECT


def _barred(facts: Facts, other: str) -> bool:
    """For ever: that two have met is no reason to part them."""
    bars = facts.bars or {}
    return other in bars and bars[other] is None


async def _take(floor: Floor, desk: Desk, held: int) -> int:
    told = False
    while True:
        try:
            epoch = await desk.book.hold(desk.pool, desk.replica, held, floor.patience_s())
        except Unavailable as error:
            _log.warning("pool.store_away", pool=desk.pool, error=str(error))
            await desk.clock.sleep(EVERY_S)
            continue
        desk.hall.elsewhere = epoch is None
        if epoch is not None:
            _log.info("pool.taken", pool=desk.pool, epoch=epoch)
            return epoch
        if not told:
            _log.info("pool.standing_by", pool=desk.pool)
            told = True
        await desk.clock.sleep(EVERY_S)


async def _as_owner(floor: Floor, desk: Desk, epoch: int, work: Sequence[Work]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep(floor, desk, epoch))
            await _patiently_take_over(floor, desk, epoch)
            desk.meter.owns(True)
            for one in work:
                group.create_task(_run(one))
    finally:
        await _give_up(desk, epoch)


async def _run(work: Work) -> None:
    await work()


async def _patiently_take_over(floor: Floor, desk: Desk, epoch: int) -> None:
    while True:
        try:
            async with floor.turning:
                return await take_over(desk, epoch)
        except Unavailable as error:
            _log.warning("pool.store_away", pool=desk.pool, error=str(error))
            await desk.clock.sleep(EVERY_S)


async def _keep(floor: Floor, desk: Desk, epoch: int) -> None:
    """Renews the lease. With the store away this replica may own the pool or not: every commit asks
    the store, so nothing is paired twice. Raises PoolLost, also when others shall have it."""
    while True:
        await desk.clock.sleep(EVERY_S)
        if floor.hands_over(desk.pool, desk.clock.monotonic()):
            raise PoolLost(f"pool {desk.pool}: this replica has more pools than its share")
        try:
            held = await desk.book.hold(desk.pool, desk.replica, epoch)
        except Unavailable as error:
            _log.warning("pool.store_away", pool=desk.pool, error=str(error))
            continue
        if held != epoch:
            raise PoolLost(f"pool {desk.pool}: this replica held epoch {epoch}, now {held}")


async def _give_up(desk: Desk, epoch: int) -> None:
    """Not being able to costs the next owner the rest of the lease."""
    try:
        await desk.book.give_up(desk.pool, epoch)
    except Unavailable as error:
        _log.info("pool.lease_ends_by_itself", pool=desk.pool, error=str(error))
