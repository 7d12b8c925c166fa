"""Renew: grants of live matches to their devices, waiting tickets to the log."""

from __future__ import annotations

from dataclasses import replace

from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.news import GrantRenewed


async def renew_grants(desk: Desk) -> None:
    """A fresh grant to everybody whose own is a minute old."""
    for match, user_id in desk.hall.meetings.renew(desk.clock.monotonic()):
        grant = desk.grants.sign(match, user_id, desk.clock.now())
        await desk.teller.tell(user_id, GrantRenewed(match.match_id, grant))


async def keep_tickets(desk: Desk) -> None:
    """Writes every waiting ticket to the log again, with its pauses so far. Raises LogUnavailable.

    A new owner reads the last 90 s, so at 30 s two renewals in a row may fail.
    """
    now, pool = desk.clock.monotonic(), desk.hall.pool
    kept = [
        replace(
            ticket,
            paused_s=max(pool.paused_s(ticket.user_id, now), 0.0),
            waited_s=pool.look(ticket.user_id, now).waited_s,
        )
        for ticket in pool
    ]
    if kept:
        await desk.tickets.publish(kept)
