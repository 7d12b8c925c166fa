"""The loops of matching: waves, upkeep."""

from __future__ import annotations

import asyncio

import structlog

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import lose_matches
from inyeon.matching.app.offering import offer_widening
from inyeon.matching.app.overflow import overflow
from inyeon.matching.app.ports import Rooms
from inyeon.matching.app.renew import keep_tickets, renew_grants
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.waves import warm_up
from inyeon.runtime.errors import Unavailable

UPKEEP_EVERY_S = 1.0
KEEP_TICKETS_EVERY_S = 30.0  # a new owner reads 90 s: two renewals in a row may fail
FORGET_EVERY_S = 600.0

_log = structlog.get_logger(__name__)


async def run_waves(desk: Desk, every_s: float) -> None:
    """A wave every so often, once the pool is rebuilt. Raises PoolLost."""
    await desk.hall.rebuilt.wait()
    await asyncio.to_thread(warm_up)  # compiled on a machine's first start only, some 10 s
    while True:
        began_s = desk.clock.monotonic()
        await run_wave(desk)
        # Where waves take longer than the pause, half of the core is left to everything else.
        await desk.clock.sleep(max(every_s, desk.clock.monotonic() - began_s))


async def run_upkeep(desk: Desk, rooms: Rooms) -> None:
    """Renews grants, ends lost matches, keeps tickets in the log. A dependency that is away is
    waited for."""
    await desk.hall.rebuilt.wait()
    kept_at = forgot_at = desk.clock.monotonic()
    while True:
        await desk.clock.sleep(UPKEEP_EVERY_S)
        now = desk.clock.monotonic()
        try:
            await renew_grants(desk)
            await lose_matches(desk)
            if desk.watch is not None:
                await desk.watch.work()
            await overflow(desk, rooms)
            await offer_widening(desk)
            if kept_at + KEEP_TICKETS_EVERY_S <= now:
                await keep_tickets(desk)
                kept_at = now
            if forgot_at + FORGET_EVERY_S <= now:
                await desk.book.forget(desk.clock.now())
                forgot_at = now
        except Unavailable as error:
            _log.warning("upkeep.away", error=str(error))
