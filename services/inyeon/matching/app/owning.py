"""Own the pool: one replica pairs, the others stand by and take over when its lease ends.

    standby --lease free--> rebuilding --log read--> owner --lease lost--> standby

Everything in the hall belongs to one epoch: who loses the pool forgets all of it and ends its
streams, which devices open again at the new owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from inyeon.matching.app.desk import Desk
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


async def own_pool(desk: Desk, work: Sequence[Work], end_streams: Callable[[], None]) -> None:
    """Stands by until the pool is free, then runs `work` as its owner; for as long as this task
    lives. Gives the pool up when it is cancelled."""
    held = STARTED
    while True:
        epoch = await _take(desk, held)
        try:
            await _as_owner(desk, epoch, work)
        except* PoolLost as lost:
            _log.warning("pool.lost", pool=desk.pool, epoch=epoch, error=str(lost.exceptions[0]))
            held = LOST
        finally:
            desk.meter.owns(False)
            desk.hall.reset()
            end_streams()


async def take_over(desk: Desk, epoch: int) -> None:
    """Begins a hall of that epoch with the live matches of the book; devices have 30 s from now to
    come back. Raises StoreUnavailable."""
    desk.hall.reset()
    expected = await desk.book.marks_expected()
    for match in await desk.book.live_matches(desk.pool):
        desk.hall.meetings.begin(match, desk.clock.monotonic())
    desk.hall.freshness.expected = expected
    desk.hall.epoch = epoch


async def _take(desk: Desk, held: int) -> int:
    told = False
    while True:
        try:
            epoch = await desk.book.hold(desk.pool, desk.replica, held)
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


async def _as_owner(desk: Desk, epoch: int, work: Sequence[Work]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep(desk, epoch))
            await _patiently_take_over(desk, epoch)
            desk.meter.owns(True)
            for one in work:
                group.create_task(_run(one))
    finally:
        await _give_up(desk, epoch)


async def _run(work: Work) -> None:
    await work()


async def _patiently_take_over(desk: Desk, epoch: int) -> None:
    while True:
        try:
            return await take_over(desk, epoch)
        except Unavailable as error:
            _log.warning("pool.store_away", pool=desk.pool, error=str(error))
            await desk.clock.sleep(EVERY_S)


async def _keep(desk: Desk, epoch: int) -> None:
    """Renews the lease. With the store away this replica may own the pool or not: every commit asks
    the store, so nothing is paired twice. Raises PoolLost."""
    while True:
        await desk.clock.sleep(EVERY_S)
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
