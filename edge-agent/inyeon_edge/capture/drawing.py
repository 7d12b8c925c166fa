"""A drawing of ours as a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from inyeon_edge.capture.source import Pace
from inyeon_edge.frame import Frame, Image

Draw = Callable[[int], Image]
"""Frame number to picture; the same number always gives the same picture."""

ROUND_FRAMES = 150  # one round of every drawing: 10 s at 15 fps


class DrawnSource:
    """Draws frame after frame; without `loop` it ends after one round."""

    def __init__(self, draw: Draw, fps: float | None, loop: bool = True) -> None:
        self._draw = draw
        self._pace = Pace(fps)
        self._count = None if loop else ROUND_FRAMES

    def frames(self) -> Iterator[Frame]:
        """As Source."""
        index = 0
        while self._pace.wait() and index != self._count:
            yield Frame(self._draw(index), index, time.monotonic())
            index += 1

    def close(self) -> None:
        """As Source."""
        self._pace.close()
