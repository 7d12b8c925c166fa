"""Rebuild: after a start the hall is filled from the book and the log."""

from __future__ import annotations

from inyeon.matching.app.desk import Desk


async def take_over(desk: Desk) -> int:
    """Claims the pool and loads its live matches; devices have 30 s from now to come back."""
    epoch = await desk.book.claim(desk.pool, desk.replica)
    desk.hall.epoch = epoch
    for match in await desk.book.live_matches(desk.pool):
        desk.hall.meetings.begin(match, desk.clock.monotonic())
    return epoch
