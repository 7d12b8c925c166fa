"""What a wave knows of somebody's recent conversations, in whole numbers that a record can keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import MAX_LENGTH, MAX_STEP, Space
from inyeon.matching.domain.refusals import Refused
from inyeon.matching.domain.session_vectors import USUAL_S, SessionVector

USUAL_LOG = math.log2(USUAL_S)
"""`usual_log` of whom nothing is known."""


class RecentRefused(Refused):
    """Numbers that cannot be taken. `field` names the part, `reason` is a code."""


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """A session vector as waves use it. Raises RecentRefused STEPS or NUMBERS.

    Whole numbers on purpose: their products are exact in any order, so a pass done again elsewhere
    gives the same bits."""

    space: Space
    steps: bytes
    """(dims,) int8, shorter than 4,096."""
    step: float
    """Value of one step, 0 to 1; `direction` is steps * step."""
    usual_log: float
    """log2 of the seconds that this person usually talks."""
    ended_s: float
    """When the newest conversation in it ended, in seconds since 1970 UTC."""

    def __post_init__(self) -> None:
        if len(self.steps) != self.space.dims:
            raise RecentRefused(
                "steps", "STEPS", f"{len(self.steps)} bytes for {self.space.dims} dimensions"
            )
        if not all(map(math.isfinite, (self.step, self.usual_log, self.ended_s))):
            raise RecentRefused("step", "NUMBERS", "a number is not finite")
        if not 0.0 <= self.step <= 1.0:
            raise RecentRefused("step", "NUMBERS", f"{self.step} is not within 0 and 1")

    @property
    def whole(self) -> NDArray[np.int8]:
        """(dims,) `steps` as numbers."""
        return np.frombuffer(self.steps, np.int8)


def recent_of(vector: SessionVector) -> Recent:
    """The direction rounded to int8: off by half a step, 0.4 % of its largest number."""
    direction = vector.direction.astype(np.float64)
    largest, length = float(np.abs(direction).max()), float(np.linalg.norm(direction))
    # float32, as the engine computes: what is recorded is what was used
    step = float(np.float32(max(largest / MAX_STEP, length / MAX_LENGTH)))
    whole = np.rint(direction / step) if step > 0.0 else np.zeros(len(direction))
    steps = np.clip(whole, -MAX_STEP, MAX_STEP).astype(np.int8).tobytes()
    return Recent(vector.space, steps, step, vector.usual_log, vector.at_s)
