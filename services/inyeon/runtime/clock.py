"""Time as a seam: wall time for facts, monotonic time for durations."""

from __future__ import annotations

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from. Durations never use wall time: it jumps."""

    def now(self) -> datetime:
        """Wall time, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only rise; the zero means nothing."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Returns after `duration_s` seconds of this clock."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


class ManualClock:
    """A clock that stands until a test moves it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, duration_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + duration_s, self._count, waiter))
        await waiter

    async def advance(self, duration_s: float) -> None:
        """Moves time and wakes, in order, everybody whose time has come, each with a turn of the
        loop.
        """
        end_s = self._elapsed_s + duration_s
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, due_s)
            if not waiter.done():
                waiter.set_result(None)
            await _settle()
        self._elapsed_s = end_s
        await _settle()


async def _settle() -> None:
    """Lets woken tasks run: a wake-up may take a few turns to reach the task behind it."""
    for _ in range(10):
        await asyncio.sleep(0)
