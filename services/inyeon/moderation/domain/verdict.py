"""Verdicts and what moves them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """State of a person's picture over time."""

    UNKNOWN = "UNKNOWN"
    """A new session of somebody who was CLEAR or new: no pass yet, no cover."""
    CLEAR = "CLEAR"
    UNSURE = "UNSURE"
    """Not certain: no new match, no cover by the platform."""
    PROTECT = "PROTECT"


QUIET = "QUIET"
"""Reason of every way back to CLEAR that a device earned."""
DISMISSED = "DISMISSED"
"""Reason of UNSURE after a reviewer said that the protection was wrong."""
DEVICES_DISAGREE = "DEVICES_DISAGREE"
"""Reason of an escalation: the partner's device saw what the own device did not say."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a verdict changed, in facts that a reviewer can check."""

    rule: str
    """Name of the policy's rule; `clearing` for the way back."""
    value: float
    """Score of the last window, sum of the rule's class means."""
    threshold: float
    held_s: float
    """Seconds of evidence that counted."""
    windows: tuple[int, ...]
    """Window ids behind it, newest last, at most 16."""
    agreed: bool = False
    """The partner's device saw the same, so that less time was needed."""
    models: tuple[str, ...] = ()
    """Heavier models that decided, as name@version; then `value` is how sure they are."""

    def text(self) -> str:
        """One line for people."""
        if self.models:
            return f"{self.rule} at {self.value:.2f} by {', '.join(self.models)}"
        seen = ", seen by both devices" if self.agreed else ""
        return (
            f"rule {self.rule}: {self.value:.2f} against {self.threshold:.2f}, "
            f"{self.held_s:.1f} s over {len(self.windows)} windows{seen}"
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a verdict."""

    before: Verdict
    after: Verdict
    reason: str
    policy_version: str
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Escalation:
    """Something the device's scores cannot settle: for a heavier model, never a verdict by
    itself."""

    reason: str
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Step:
    """What one window did; usually nothing."""

    transition: Transition | None = None
    escalation: Escalation | None = None


NOTHING = Step()
