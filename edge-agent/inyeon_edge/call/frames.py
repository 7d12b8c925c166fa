"""Frames on their way into and out of a call, as counted arrays. Knows nothing of WebRTC."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.frame import Image, fit

WIDTH, HEIGHT, FPS = 320, 240, 15
STALE_S = 2.0  # a camera that gives nothing for 30 frames has vanished: black, not a frozen face
CHANGE_LEVELS = 1.0  # VP8 noise on a still picture stays below half a level of 255


@dataclass(slots=True)
class MediaCounts:
    """Frames of one call since it began."""

    sent: int = 0
    decoded: int = 0
    changed: int = 0
    """Decoded frames that differ from the one before by more than CHANGE_LEVELS on average."""
    filtered: int = 0
    """Decoded frames that the receiver's check has looked at."""


class OutgoingFrames:
    """Holds the newest frame as sent. Written by the picture thread, read by the loop."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self._width, self._height = width, height
        self._black = np.zeros((height, width, 3), np.uint8)
        self._lock = threading.Lock()  # guards `_newest`
        self._newest: tuple[Image, float] | None = None

    def show(self, image: Image, at_s: float) -> None:
        """Takes a picture after effects, (H, W, 3) uint8 RGB; never a raw one. `at_s` is
        monotonic."""
        scaled = fit(image, self._width, self._height)
        with self._lock:
            self._newest = (scaled, at_s)

    def close(self) -> None:
        """Black from now on."""
        with self._lock:
            self._newest = None

    def newest(self, now_s: float) -> Image:
        """The newest picture (height, width, 3), or black where there is none or it is stale."""
        with self._lock:
            newest = self._newest
        if newest is None or now_s - newest[1] > STALE_S:
            return self._black
        return newest[0]


class ChangeMeter:
    """Tells moving pictures from a still one."""

    def __init__(self) -> None:
        self._before: NDArray[np.int16] | None = None

    def is_changed(self, image: Image) -> bool:
        """Whether the picture differs from the last one; the first one does. Looks at every 4th
        pixel."""
        now = image[::4, ::4].astype(np.int16)
        before, self._before = self._before, now
        if before is None or before.shape != now.shape:
            return True
        return float(np.abs(now - before).mean()) > CHANGE_LEVELS
