"""Cases: what a person reviews. Scores and times, never pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from inyeon.moderation.domain.verdict import Verdict


class Decision(Enum):
    """What a reviewer decides."""

    DISMISS = "DISMISS"
    """The protection was wrong."""
    CONFIRM = "CONFIRM"
    """The protection was right; nothing more."""


@dataclass(frozen=True, slots=True)
class Case:
    """One open question about a person; at most one open case per person and reason."""

    case_id: str
    user_id: str
    session_id: str
    match_id: str
    reason: str
    verdict: Verdict
    """Verdict when it was opened."""
    policy_version: str
    explanation: str
    opened_at: datetime
    live: bool = False
    """The person talks to somebody right now."""
    reports: int = 0
    """People who reported, each counted once."""
    closed_at: datetime | None = None
    decision: Decision | None = None

    @property
    def open(self) -> bool:
        """Waits for a person."""
        return self.closed_at is None

    def urgency(self) -> tuple[bool, bool, float, str]:
        """Sorts most urgent first: open, then somebody may see it now, then the longest wait;
        closed ones newest decision first. The id settles ties."""
        if self.closed_at is not None:
            return True, False, -self.closed_at.timestamp(), self.case_id
        return False, not self.live, self.opened_at.timestamp(), self.case_id

    def decided(self, decision: Decision, at: datetime) -> Case:
        """The case, closed. Only an open case can be decided: the caller has looked under its row
        lock."""
        return replace(self, decision=decision, closed_at=at)

    def resets_verdict(self, decision: Decision) -> bool:
        """Dismissing a protection sets the verdict to UNSURE, from where quiet leads to CLEAR."""
        return decision is Decision.DISMISS and self.verdict is Verdict.PROTECT
