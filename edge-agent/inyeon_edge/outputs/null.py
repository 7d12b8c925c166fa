"""An output that only counts."""

from __future__ import annotations

from inyeon_edge.frame import Image


class NullOutput:
    """Takes pictures and forgets all but the last; also the seam's twin in tests."""

    def __init__(self) -> None:
        self.shown = 0
        self.last: Image | None = None
        self.closed = False

    def show(self, image: Image, at_s: float) -> None:
        """Counts."""
        self.shown += 1
        self.last = image

    def close(self) -> None:
        """Remembers that it was closed."""
        self.closed = True
