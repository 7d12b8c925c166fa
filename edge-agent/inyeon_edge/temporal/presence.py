"""Presence over about a second: one missed face is no departure, one false face no arrival."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon_edge.temporal.votes import Votes


@dataclass(frozen=True)
class PresenceRule:
    """How long looks are voted over, and which share changes the state."""

    window_s: float = 1.0
    """Looks come 5 to 10 times a second, so 5 to 10 votes."""
    arrive: float = 0.6
    """Share of looks with a person from which nobody becomes somebody."""
    leave: float = 0.3
    """Share below which somebody becomes nobody; the gap between both stops trembling."""
    fewest: int = 3
    """Looks before anything is said: 0.3 s at 10 looks a second."""


class PresenceSmoother:
    """Turns looks (how many people) into 0, 1 or 2 for nobody, one, several; None until known."""

    def __init__(self, rule: PresenceRule | None = None) -> None:
        self._rule = rule or PresenceRule()
        self._somebody = Votes(self._rule.window_s)
        self._several = Votes(self._rule.window_s)
        self._present: bool | None = None

    def __call__(self, at_s: float, people: int) -> int | None:
        """Adds a look at monotonic time `at_s` and gives the smoothed number."""
        self._somebody.cast(at_s, people > 0)
        self._several.cast(at_s, people > 1)
        if len(self._somebody) >= self._rule.fewest:
            self._present = self._decide(self._somebody.share())
        return self.people

    @property
    def people(self) -> int | None:
        """The smoothed number now."""
        if self._present is None:
            return None
        if not self._present:
            return 0
        return 2 if self._several.share() >= self._rule.arrive else 1

    def forget(self) -> None:
        """Back to not known."""
        self._somebody.clear()
        self._several.clear()
        self._present = None

    def _decide(self, share: float) -> bool:
        bar = self._rule.leave if self._present else self._rule.arrive
        return share >= bar
