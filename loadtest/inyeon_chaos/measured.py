"""What a run of faults measured, before it becomes rows of a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from inyeon_chaos.evidence import Breach

Tell = Callable[[str], None]
"""Says what goes on, to people."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that only one level has. `bar` None: information only."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    better: Literal["higher", "lower"] = "lower"


@dataclass
class Measured:
    """Figures of one level."""

    name: str
    counted: bool = True
    """Every event was followed from its sender to its effect, so that lost and doubled mean
    something."""
    kills: int = 0
    restarts: int = 0
    sent: int = 0
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    republished: int = 0
    crashes: int = 0
    breaches: list[Breach] = field(default_factory=list)
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    """Kind of fault -> seconds of each."""
    figures: list[Figure] = field(default_factory=list)

    def recovered(self, what: str, seconds: float) -> None:
        """Notes one recovery."""
        self.recoveries_s.setdefault(what, []).append(seconds)

    def median_s(self, what: str) -> float:
        """Median recovery; raises KeyError where there was none."""
        return statistics.median(self.recoveries_s[what])

    def longest_s(self, what: str) -> float:
        """Longest recovery; raises KeyError where there was none."""
        return max(self.recoveries_s[what])
