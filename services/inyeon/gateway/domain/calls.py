"""One device's side of a call's set-up: whose it is, with whom, until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CallRight:
    """What a match grant says, once its signature was checked."""

    match_id: str
    user_id: str
    partner_id: str
    expires_at: datetime


@dataclass(slots=True)
class CallSide:
    """The state of one signalling stream."""

    right: CallRight
    epoch: int
    seen_partner_epoch: int = 0

    def renew(self, right: CallRight) -> bool:
        """Takes a newer right of the same call; False for any other."""
        if (right.match_id, right.user_id) != (self.right.match_id, self.right.user_id):
            return False
        if right.expires_at > self.right.expires_at:
            self.right = right
        return True

    def notice(self, match_id: str, partner_epoch: int) -> bool:
        """The partner's device is there; True if that is news."""
        if match_id != self.right.match_id or partner_epoch <= self.seen_partner_epoch:
            return False
        self.seen_partner_epoch = partner_epoch
        return True

    def remaining_s(self, now: datetime) -> float:
        """Seconds until the right ends, at least 0."""
        return max(0.0, (self.right.expires_at - now).total_seconds())
