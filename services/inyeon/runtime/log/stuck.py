"""Says when something is in hand for too long, with every stack, so that a hang explains itself."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from inyeon.runtime.clock import Clock

_logger = logging.getLogger(__name__)


class StuckDetector:
    """Watches one worker. `run` it beside the worker and wrap each piece of work in `working`."""

    def __init__(self, name: str, clock: Clock, limit_s: float) -> None:
        self._name = name
        self._clock = clock
        self._limit_s = limit_s
        self._work = ""
        self._since_s: float | None = None
        self._worker: asyncio.Task[object] | None = None

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """The worker has `what` in hand within the block."""
        self._work, self._since_s = what, self._clock.monotonic()
        self._worker = asyncio.current_task()
        try:
            yield
        finally:
            self._since_s = None

    async def run(self) -> None:
        """Looks three times within the limit; repeats itself once per limit while nothing moves.
        Ends by cancellation."""
        told_s = float("-inf")
        while True:
            await self._clock.sleep(self._limit_s / 3)
            now_s = self._clock.monotonic()
            if self._since_s is None or now_s - max(self._since_s, told_s) < self._limit_s:
                continue
            told_s = now_s
            lasted_s = now_s - self._since_s
            _logger.error(
                "%s is stuck: %s for %.0f s\n%s", self._name, self._work, lasted_s, self._stacks()
            )

    def _stacks(self) -> str:
        """The worker's await and every thread: one of them holds what the worker waits for."""
        task = self._worker.get_stack() if self._worker is not None else []
        lines = ["worker:", *(line for frame in task for line in traceback.format_stack(frame))]
        for thread, frame in sys._current_frames().items():
            lines += [f"thread {thread}:", *traceback.format_stack(frame)]
        return "\n".join(line.rstrip() for line in lines)
