"""What an arm changed in a switchback experiment, with an interval over blocks of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inyeon.matching.domain.switchback import Exact, ExperimentRefused, Facts, Plan

Z_95 = 1.959964
LEAST_BLOCKS = 6
"""With fewer, a guardrail's quantile of Student's t (5 degrees and more) would be a guess."""
METRICS = ("match_rate", "wait_p99_s", "reports_per_match")


@dataclass(frozen=True, slots=True)
class Effect:
    """An arm minus the control, with an interval over blocks."""

    arm: str
    metric: str
    value: float
    low: float
    high: float
    control: float
    """Mean of the control in the same blocks."""
    blocks: int

    @property
    def significant(self) -> bool:
        """The interval excludes no difference."""
        return not self.low <= 0.0 <= self.high


def effect(
    plan: Plan, windows: Sequence[Facts], arm: str, metric: str, confidence_z: float = Z_95
) -> Effect:
    """Mean difference within blocks that hold both arms; interval by Student's t over blocks.

    `metric` is a number of Facts. Raises ExperimentRefused: ARM, METRIC or TOO_FEW (below
    LEAST_BLOCKS blocks)."""
    if arm not in plan.arms[1:]:
        raise ExperimentRefused("arm", "ARM", f"{arm!r} is no arm beside the control")
    if metric not in METRICS:
        raise ExperimentRefused("metric", "METRIC", f"{metric!r} is none of {', '.join(METRICS)}")
    pairs = in_blocks(plan, windows, arm, metric)
    if len(pairs) < LEAST_BLOCKS:
        raise ExperimentRefused(
            "windows", "TOO_FEW", f"{len(pairs)} whole blocks, not {LEAST_BLOCKS}"
        )
    differences = pairs[:, 1] - pairs[:, 0]
    spread = float(differences.std(ddof=1)) / math.sqrt(len(pairs))
    half = student(confidence_z, len(pairs) - 1) * spread
    value = float(differences.mean())
    control = float(pairs[:, 0].mean())
    return Effect(arm, metric, value, value - half, value + half, control, len(pairs))


def student(z: float, freedom: int) -> float:
    """Quantile of Student's t with `freedom` degrees, 5 or more, where the normal one is z:
    Abramowitz and Stegun 26.7.5, too small by at most 0.001 at z = 2, 0.02 at 3 and 0.07 at 3.5."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + math.fsum(
        term / float(freedom) ** power for power, term in enumerate(terms, start=1)
    )


def normal_quantile(chance: float) -> float:
    """Where a standard normal number lies below with that chance, 0 to 1, by bisection."""
    low, high = -9.0, 9.0
    for _ in range(80):
        middle = (low + high) / 2
        below = 0.5 * (1.0 + math.erf(middle / math.sqrt(2.0))) < chance
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def in_blocks(plan: Plan, windows: Sequence[Facts], arm: str, metric: str) -> Exact:
    """(blocks, 2) of the control and the arm, where a block has both."""
    values = {(w.number // len(plan.arms), w.arm): float(getattr(w, metric)) for w in windows}
    blocks = sorted({block for block, _ in values})
    both = [(b, (b, plan.arms[0]), (b, arm)) for b in blocks]
    rows = [(values[c], values[a]) for _, c, a in both if c in values and a in values]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)
