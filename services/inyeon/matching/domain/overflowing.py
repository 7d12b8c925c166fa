"""Overflow: who has waited long in one pool waits on in a neighbouring one."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon.matching.domain.policies import Policies
from inyeon.matching.domain.territories import Territories


@dataclass(frozen=True, slots=True)
class Overflow:
    """Where somebody's ticket goes next, and when."""

    territories: Territories
    after_s: float
    """Waiting time in each pool, pauses not counted; above 0."""
    policies: Policies | None = None
    """Who may move at all; None: everybody."""

    def home(self, country: str) -> str:
        """The pool of a country's people."""
        return self.territories.of(country).pool

    def next_pool(self, country: str, pool: str, waited_s: float) -> str | None:
        """Where somebody goes who has waited so long, None where they stay.

        The way is the home pool and then its neighbours, nearest first; the last one keeps them.
        Waiting time moves with the ticket, so in the n-th pool of the way it is up after n times
        `after_s`. Somebody in a pool that is not on the way (the table was changed) stays, and so
        does whom their country's policy keeps.
        """
        if self.policies is not None and not self.policies.of(country).overflow:
            return None
        home = self.home(country)
        way = (home, *self.territories.neighbours(home))
        if pool not in way:
            return None
        following = way.index(pool) + 1
        due = waited_s >= following * self.after_s
        return way[following] if due and following < len(way) else None
