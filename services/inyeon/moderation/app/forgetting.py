"""What is over is forgotten: snapshots and stream sessions nobody resumed, matches past the time
for a report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from inyeon.moderation.app.ports import Ledger
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import StoreUnavailable

EVERY_S = 3_600.0  # kept for a day; an hour more is 4 %


class Forgetting:
    """A loop with two deletes an hour."""

    def __init__(
        self,
        ledger: Ledger,
        prune_sessions: Callable[[datetime], Awaitable[int]],
        clock: Clock,
        *,
        kept_s: float,
    ) -> None:
        self._ledger = ledger
        self._prune_sessions = prune_sessions
        self._clock = clock
        self._kept = timedelta(seconds=kept_s)

    async def run(self) -> None:
        """Forgets once an hour until cancelled; a store that is away is asked again in an hour."""
        while True:
            with suppress(StoreUnavailable):
                await self.once()
            await self._clock.sleep(EVERY_S)

    async def once(self) -> int:
        """Forgets now; returns how many rows went. Raises StoreUnavailable."""
        before = self._clock.now() - self._kept
        return await self._ledger.forget(older_than=before) + await self._prune_sessions(before)
