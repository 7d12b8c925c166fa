"""Policy sets: what holds for people of a country beyond what holds for everybody.

A set only ever asks for more than the operator's settings, never for less, and a stricter set asks
for no less than a laxer one. Gates are no part of it: they hold for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from inyeon.matching.domain.faults import FaultRules
from inyeon.matching.domain.territories import PolicySet, TableRefused, Territories

LONGEST_ACCEPT_S = 60.0
LONGEST_SKIP_S = 60.0
LONGEST_BOUND_S = 3600.0
MOST_COOL_DOWN = 10.0
"""Times the usual pause: of 5 min it makes 50."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for somebody; the defaults ask for nothing."""

    accept_within_s: float = 0.0
    """Both must accept a match in so long where either one's policy asks; 0: not asked."""
    starvation_bound_s: float = 0.0
    """Whoever waited so long is offered to widen their wish; 0: nobody is."""
    overflow: bool = True
    """Whoever waits long may wait on in a neighbouring pool."""
    skip_within_s: float = 0.0
    """Leaving a match sooner is a fault of one's own; 0: never."""
    cool_down: float = 1.0
    """How many times as long as usual a pause for own faults is."""
    minors: bool = True
    """People under age may look for somebody (and meet only each other)."""

    def __post_init__(self) -> None:
        """Raises TableRefused for a number that cannot be."""
        _within("accept_within_s", self.accept_within_s, 0, LONGEST_ACCEPT_S)
        _within("starvation_bound_s", self.starvation_bound_s, 0, LONGEST_BOUND_S)
        _within("skip_within_s", self.skip_within_s, 0, LONGEST_SKIP_S)
        _within("cool_down", self.cool_down, 1, MOST_COOL_DOWN)

    def stricter(self, other: Policy) -> Policy:
        """What asks for no less than both."""
        return Policy(
            _sooner(self.accept_within_s, other.accept_within_s),
            _sooner(self.starvation_bound_s, other.starvation_bound_s),
            self.overflow and other.overflow,
            max(self.skip_within_s, other.skip_within_s),
            max(self.cool_down, other.cool_down),
            self.minors and other.minors,
        )

    @property
    def faults(self) -> FaultRules:
        """How own faults are counted."""
        return FaultRules(self.skip_within_s, self.cool_down)


@dataclass(frozen=True)
class Policies:
    """The policy of each country; the strictest of all for one that the table has not."""

    territories: Territories
    sets: Mapping[PolicySet, Policy]
    _by_country: Mapping[str, Policy] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises TableRefused (POLICY_SET) for a set without values, POLICY_LAXER for one that asks
        for less than the set before it."""
        for one in PolicySet:
            if one not in self.sets:
                raise TableRefused(one.name.lower(), "POLICY_SET", "has no values")
        for laxer, stricter in pairwise(PolicySet):
            if self.sets[laxer].stricter(self.sets[stricter]) != self.sets[stricter]:
                message = f"asks for less than {laxer.name.lower()}"
                raise TableRefused(stricter.name.lower(), "POLICY_LAXER", message)
        rows = {row.country: self.sets[row.policy_set] for row in self.territories.rows}
        object.__setattr__(self, "_by_country", MappingProxyType(rows))

    def of(self, country: str) -> Policy:
        """What holds for people of a country, or of none that is known."""
        return self._by_country.get(country, self.sets[PolicySet.STRICT])

    def at_least(self, own: Policy) -> Policies:
        """The same, with the operator's own settings for everybody."""
        return Policies(
            self.territories, {one: own.stricter(policy) for one, policy in self.sets.items()}
        )


def asked_within_s(policies: Iterable[Policy]) -> float:
    """In how many seconds two people must accept; 0: neither one's policy asks."""
    within_s = 0.0
    for policy in policies:
        within_s = _sooner(within_s, policy.accept_within_s)
    return within_s


def _sooner(one: float, other: float) -> float:
    """The shorter of two times of which 0 means never."""
    return min(one or math.inf, other or math.inf) if one or other else 0.0


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also NaN
        raise TableRefused(name, "POLICY_VALUE", f"{value} is not {least} to {most}")
