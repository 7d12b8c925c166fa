"""A picture that never changes is no camera picture: every sensor has noise."""

from __future__ import annotations

from inyeon_edge.temporal.reuse import IDENTICAL_DB

FROZEN_AFTER_S = 5.0  # the slowest camera we take gives 1 frame/s: five equal ones are no chance


class FrozenWatch:
    """Says whether the picture has been the very same for FROZEN_AFTER_S."""

    def __init__(self, after_s: float = FROZEN_AFTER_S) -> None:
        self._after_s = after_s
        self._since_s: float | None = None

    def __call__(self, at_s: float, motion_db: float) -> bool:
        """Adds a picture by its PSNR against the one before."""
        if motion_db < IDENTICAL_DB:
            self._since_s = None
            return False
        if self._since_s is None or at_s < self._since_s:
            self._since_s = at_s
        return at_s - self._since_s >= self._after_s
