"""The seam to whatever takes the picture as sent."""

from __future__ import annotations

from typing import Protocol

from inyeon_edge.frame import Image


class Output(Protocol):
    """Takes pictures from one thread."""

    def show(self, image: Image, at_s: float) -> None:
        """Takes a picture, (H, W, 3) uint8 RGB, of monotonic time `at_s`; waits for no reader.

        Raises OutputError where it can take none any more. A normal return does not promise that
        anybody saw it.
        """
        ...

    def close(self) -> None:
        """Finishes what was begun. Calling it again does nothing."""
        ...
