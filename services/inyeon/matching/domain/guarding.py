"""When an arm of an experiment must stop: surely worse than the control by more than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.matching.domain.effects import (
    LEAST_BLOCKS,
    Effect,
    effect,
    in_blocks,
    normal_quantile,
)
from inyeon.matching.domain.switchback import ExperimentRefused, Facts, Plan


@dataclass(frozen=True, slots=True)
class Guardrail:
    """How much worse than the control an arm may be before it is stopped."""

    metric: str
    """Of METRICS."""
    tolerance: float
    """Share of the control's mean, at least 0."""
    floor: float = 0.0
    """Differences below this are never harm, in the metric's unit: a rare report must not stop an
    arm."""


GUARDRAILS = (
    Guardrail("match_rate", 0.02),
    Guardrail("wait_p99_s", 0.10, 1.0),
    Guardrail("reports_per_match", 0.10, 0.001),
)


@dataclass(frozen=True, slots=True)
class Breach:
    """Why an arm must stop."""

    arm: str
    metric: str
    harm: float
    """At least so much worse, with confidence, in the metric's unit."""
    allowed: float


def breaches(
    plan: Plan,
    windows: Sequence[Facts],
    looks: int,
    guardrails: Sequence[Guardrail] = GUARDRAILS,
) -> list[Breach]:
    """Arms that are surely worse than allowed: the near end of the interval lies beyond it.

    Call it after every block and stop an arm at once. The chance to stop a harmless arm is at most
    5 % over `looks` looks, all arms and guardrails together (Bonferroni). With fewer than
    LEAST_BLOCKS blocks nothing is sure and nothing is stopped. Raises ExperimentRefused LOOKS."""
    if looks < 1:
        raise ExperimentRefused("looks", "LOOKS", f"{looks}: how often will you look?")
    sure = normal_quantile(1.0 - 0.05 / (looks * len(guardrails) * (len(plan.arms) - 1)))
    found = []
    for arm in plan.arms[1:]:
        for rail in guardrails:
            if len(in_blocks(plan, windows, arm, rail.metric)) >= LEAST_BLOCKS:
                found += _breach(effect(plan, windows, arm, rail.metric, sure), rail)
    return found


def _breach(found: Effect, rail: Guardrail) -> list[Breach]:
    better_up = rail.metric == "match_rate"
    harm = -found.high if better_up else found.low
    allowed = max(rail.tolerance * abs(found.control), rail.floor)
    return [Breach(found.arm, rail.metric, harm, allowed)] if harm > allowed else []
