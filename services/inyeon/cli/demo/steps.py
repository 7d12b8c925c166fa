"""Steps of the demo: each has a title, a bound, and is done only when it was seen to happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class StepState(Enum):
    """Where a step stands."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class Step:
    """One line of the summary."""

    key: str
    title: str
    state: StepState = StepState.OPEN
    detail: str = ""
    took_s: float = 0.0


@dataclass(slots=True)
class Summary:
    """All steps in order."""

    steps: dict[str, Step] = field(default_factory=dict)

    def open(self, key: str, title: str) -> Step:
        """Adds a step."""
        return self.steps.setdefault(key, Step(key, title))

    @property
    def succeeded(self) -> bool:
        """Every step was done."""
        return bool(self.steps) and all(s.state is StepState.DONE for s in self.steps.values())
