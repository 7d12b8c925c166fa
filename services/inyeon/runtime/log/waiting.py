"""Waiting for a wake-up with an end, on any clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from inyeon.runtime.clock import Clock


async def wait_for_event(event: asyncio.Event, clock: Clock, timeout_s: float) -> bool:
    """Returns as soon as the event is set (True) or `timeout_s` of the clock are over (False)."""
    if event.is_set():
        return True
    woken = asyncio.ensure_future(event.wait())
    timer = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({woken, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in (woken, timer):
            waiter.cancel()
            with suppress(asyncio.CancelledError):
                await waiter
    return event.is_set()
