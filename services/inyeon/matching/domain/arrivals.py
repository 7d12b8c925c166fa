"""Who came lately: what the pool knows of the people who will come next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.columns import ROW

KEPT = 512
"""Newest arrivals kept, 180 KB: a share of them is right to some 2 points."""
SPAN_S = 600.0
"""What came before says little of what comes next."""
LEAST_SPAN_S = 30.0
"""Two people within a second are no promise of two people a second."""


class Arrivals:
    """A ring of the newest arrivals, those who have gone included: of the people who still wait the
    hard-to-match are too many to stand for newcomers. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._rows = np.zeros(KEPT, ROW)
        self._times = np.full(KEPT, -np.inf)
        self._next = 0

    def add(self, row: np.void, at: float) -> None:
        """Somebody came at that time."""
        self._rows[self._next] = row
        self._times[self._next] = at
        self._next = (self._next + 1) % KEPT

    def recent(self, now: float) -> tuple[NDArray[np.void], float]:
        """(n,) rows of those who came within SPAN_S, and the seconds in which they came."""
        recent = self._times > now - SPAN_S
        oldest = self._times[recent].min(initial=now)
        return self._rows[recent], max(now - oldest, LEAST_SPAN_S)
