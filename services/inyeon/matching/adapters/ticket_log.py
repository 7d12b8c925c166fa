"""Waiting tickets on the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from inyeon.matching.adapters.events import ticket_waiting
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.port import Log

PUBLISH_TIMEOUT_S = 5.0
"""A fsync takes milliseconds; a device that waits longer than this has another reason to try again.
"""


class LogTickets:
    """Writes tickets to `matching.tickets`."""

    def __init__(self, log: Log, replica: str, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._replica = replica

    async def publish(self, tickets: Sequence[Ticket]) -> None:
        now = self._clock.now()
        records = [ticket_waiting(ticket, self._replica, now) for ticket in tickets]
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._log.publish(records)
        except TimeoutError:
            raise LogUnavailable("the log did not take the ticket in time") from None
