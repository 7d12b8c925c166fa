"""The seam to whatever gives pictures, and the clock that paces it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from inyeon_edge.frame import Frame

Monotonic = Callable[[], float]


class Source(Protocol):
    """Gives frames, from one thread; `close` may be called from any."""

    def frames(self) -> Iterator[Frame]:
        """Frames with growing index, paced or as fast as the reader asks.

        Ends when the source ends or is closed. Raises UndecodableSource where nothing can be read
        and CameraVanished where it stops giving pictures.
        """
        ...

    def close(self) -> None:
        """Stops `frames` within 0.1 s. Calling it again does nothing."""
        ...


class Pace:
    """Waits until a frame is due; a reader that falls behind does not race to catch up."""

    def __init__(self, fps: float | None, clock: Monotonic = time.monotonic) -> None:
        self._step_s = 1 / fps if fps else 0.0
        self._clock = clock
        self._due_s = clock() - self._step_s  # the first frame is due at once
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def close(self) -> None:
        """Wakes whoever waits."""
        self._closed.set()

    def wait(self) -> bool:
        """Blocks until the next frame is due; False where the source was closed meanwhile."""
        now_s = self._clock()
        self._due_s = max(self._due_s + self._step_s, now_s - self._step_s)
        pause_s = self._due_s - now_s
        if pause_s > 0 and self._step_s:
            self._closed.wait(pause_s)
        return not self.closed
