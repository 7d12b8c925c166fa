"""Time as a seam: wall time for facts, monotonic time for durations."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now_s(self) -> float:
        """Wall time, seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only rise; the zero means nothing."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Returns after `duration_s` seconds of this clock."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_s(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


class ManualClock:
    """In-memory twin: stands until `advance` moves it."""

    def __init__(self, start_s: float = 1_767_225_600.0) -> None:
        self._start_s = start_s
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        return self._start_s + self._elapsed_s

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, duration_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed_s + duration_s, waiter))
        await waiter

    async def advance(self, duration_s: float) -> None:
        """Moves time and wakes everybody whose time has come, in order, each with some turns of the
        loop."""
        end_s = self._elapsed_s + duration_s
        while due := sorted((s for s in self._sleepers if s[0] <= end_s), key=lambda s: s[0]):
            self._sleepers.remove(due[0])
            self._elapsed_s = max(self._elapsed_s, due[0][0])
            if not due[0][1].done():
                due[0][1].set_result(None)
            await _settle()
        self._elapsed_s = end_s
        await _settle()


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
