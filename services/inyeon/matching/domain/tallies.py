"""What the windows of an experiment showed, counted: small, and added up over owners and restarts.

Waits are counted in buckets 4 % apart, so their quantiles are right to some 2 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from inyeon.matching.domain.switchback import Facts, Plan

STEP = math.log(1.04)
LEAST_S = 0.1
"""Waits below it are one bucket: a wave is as long."""
BUCKETS = 280
"""The last one holds all waits above an hour and a half."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one window."""

    tickets: int = 0
    """That came in it, burn-in left out, and are over."""
    matched: int = 0
    reported: int = 0
    """Whose match was reported."""
    waits: Mapping[int, int] = field(default_factory=dict)
    """Tickets by bucket of their wait."""

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        waits = Counter(self.waits)
        waits.update(other.waits)
        return Tally(
            self.tickets + other.tickets,
            self.matched + other.matched,
            self.reported + other.reported,
            dict(waits),
        )


def ticket_tally(waited_s: float, matched: bool) -> Tally:
    """Of one ticket that is over."""
    return Tally(1, int(matched), 0, {bucket_of(waited_s): 1})


def bucket_of(waited_s: float) -> int:
    """0 to BUCKETS - 1."""
    if not waited_s > LEAST_S:
        return 0
    return min(1 + int(math.log(waited_s / LEAST_S) / STEP), BUCKETS - 1)


def quantile_s(waits: Mapping[int, int], share: float) -> float:
    """The wait below which that share of the tickets lies: the middle of its bucket in ratio; 0 of
    none."""
    wanted, reached = share * sum(waits.values()), 0
    for bucket in sorted(waits):
        reached += waits[bucket]
        if reached >= wanted:
            return LEAST_S * math.exp(STEP * (bucket - 0.5)) if bucket else LEAST_S / 2
    return 0.0


def window_facts(plan: Plan, tallies: Mapping[int, Tally], windows: int) -> list[Facts]:
    """Of the first `windows` windows, by rising number; one to which nobody came is not there."""
    return [
        _facts(plan, number, tallies[number])
        for number in sorted(tallies)
        if number < windows and tallies[number].tickets
    ]


def _facts(plan: Plan, number: int, tally: Tally) -> Facts:
    reports = tally.reported / tally.matched if tally.matched else 0.0
    rate = tally.matched / tally.tickets
    wait_s = quantile_s(tally.waits, 0.99)
    return Facts(number, plan.arm(number), tally.tickets, rate, wait_s, reports)
