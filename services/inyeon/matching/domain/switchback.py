"""Experiments in a shared pool: whole windows of time go by one arm, never single people.

Splitting people is biased where they meet each other: a better arm takes partners from the other
one. So time is cut into windows; each block of windows holds every arm once, in an order that the
name draws, and the start of each window is not counted: who waits then was left by the arm before.
Effects (effects.py) compare arms within blocks, so the time of day cancels out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.exploring import uniform
from inyeon.matching.domain.refusals import Refused

Exact = NDArray[np.float64]


class ExperimentRefused(Refused):
    """A plan or data that cannot be. `field` names the part, `reason` is a code."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time."""

    number: int
    arm: str
    counted: bool
    """False in the burn-in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which arm counts when. Raises ExperimentRefused: NAME, ARMS, WINDOW or BURN_IN."""

    name: str
    """Decides the order of arms; another name draws anew."""
    arms: tuple[str, ...]
    """The control first; 2 to 8 different ones."""
    start_s: float
    """Seconds since the epoch."""
    window_s: float
    """At least 60: a conversation and its waiting time must fit."""
    burn_in_s: float
    """Of each window, not counted; at least 0, at most half of it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64:
            raise ExperimentRefused("name", "NAME", "1 to 64 characters are wanted")
        if not 2 <= len(self.arms) <= 8 or len(set(self.arms)) < len(self.arms):
            raise ExperimentRefused("arms", "ARMS", "2 to 8 different arms are wanted")
        if not (math.isfinite(self.start_s) and 60.0 <= self.window_s < math.inf):
            raise ExperimentRefused("window_s", "WINDOW", f"{self.window_s} is below 60 s")
        if not 0.0 <= self.burn_in_s <= self.window_s / 2:
            raise ExperimentRefused("burn_in_s", "BURN_IN", "not 0 to half of a window")

    def window(self, at_s: float) -> Window | None:
        """Of that moment; None before the start. Every replica computes the same one."""
        if not at_s >= self.start_s:
            return None
        number = int((at_s - self.start_s) // self.window_s)
        into_s = at_s - self.start_s - number * self.window_s
        return Window(number, self.arm(number), into_s >= self.burn_in_s)

    def arm(self, number: int) -> str:
        """Of window `number`, from 0 on."""
        block, place = divmod(number, len(self.arms))
        return self.block(block)[place]

    def block(self, number: int) -> tuple[str, ...]:
        """All arms in their order in that block, every order alike likely."""
        drawn = [uniform(f"{self.name}:{number}:{arm}") for arm in self.arms]
        return tuple(arm for _, arm in sorted(zip(drawn, self.arms, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """m tickets that came to an end, (m,) each, in any order."""

    came_at_s: Exact
    """Seconds since the epoch: a ticket belongs to the window in which it came."""
    waited_s: Exact
    matched: Exact
    """1 where it led to a match, else 0."""
    reported: Exact
    """1 where that match was reported, else 0."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a window showed, its burn-in left out."""

    number: int
    arm: str
    tickets: int
    match_rate: float
    """Of its tickets."""
    wait_p99_s: float
    reports_per_match: float
    """0 where nobody matched."""


def facts_by_window(plan: Plan, seen: Seen) -> list[Facts]:
    """By rising number; a window in which nobody came is not there.

    Raises ExperimentRefused COLUMNS for columns of several lengths, or values not finite."""
    columns = (seen.came_at_s, seen.waited_s, seen.matched, seen.reported)
    if {c.shape for c in columns} != {(len(seen.came_at_s),)} or not np.isfinite(columns).all():
        raise ExperimentRefused("seen", "COLUMNS", "of several lengths, or not finite")
    into_s = seen.came_at_s - plan.start_s
    numbers = np.floor_divide(into_s, plan.window_s).astype(np.int64)
    counted = (into_s >= 0) & (into_s - numbers * plan.window_s >= plan.burn_in_s)
    return [
        _facts(plan, int(number), seen, np.flatnonzero(counted & (numbers == number)))
        for number in np.unique(numbers[counted])
    ]


def _facts(plan: Plan, number: int, seen: Seen, rows: NDArray[np.int64]) -> Facts:
    matched = float(seen.matched[rows].sum())
    reports = float(seen.reported[rows].sum()) / matched if matched else 0.0
    wait = float(np.quantile(seen.waited_s[rows], 0.99))
    return Facts(number, plan.arm(number), len(rows), matched / len(rows), wait, reports)
