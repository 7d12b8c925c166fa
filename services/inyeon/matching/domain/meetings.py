"""Live matches of a replica and when each device was last heard. A user is in at most one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from inyeon.matching.domain.matches import LiveMatch

LOST_AFTER_S = 30.0  # three heartbeats of at most 10 s
SILENT_AFTER_S = 12.0
"""A heartbeat of at most 10 s is overdue: enough to say whose device a failed call was lost on."""
RENEW_AFTER_S = 60.0  # a grant lives 120 s, so one renewal may get lost


class Meetings:
    """Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._matches: dict[str, LiveMatch] = {}
        self._match_of: dict[str, str] = {}
        self._heard_at: dict[str, float] = {}
        self._granted_at: dict[str, float] = {}
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._matches)

    def __iter__(self) -> Iterator[LiveMatch]:
        return iter(list(self._matches.values()))

    def of_user(self, user_id: str) -> LiveMatch | None:
        """The live match of a user."""
        match_id = self._match_of.get(user_id)
        return None if match_id is None else self._matches[match_id]

    def begin(self, match: LiveMatch, now: float) -> None:
        """A match lives. Raises ValueError when one of its people is in another one."""
        taken = [user for user in match.users if user in self._match_of]
        if taken:
            raise ValueError(f"{taken} are in a match already")
        self._matches[match.match_id] = match
        for user_id in match.users:
            self._match_of[user_id] = match.match_id
            self._heard_at[user_id] = self._granted_at[user_id] = now

    def replace(self, match: LiveMatch) -> None:
        """The same match, with what people have said to it since. Unknown: nothing."""
        if match.match_id in self._matches:
            self._matches[match.match_id] = match

    def end(self, match_id: str) -> bool:
        """A match is over. False: it does not live here."""
        match = self._matches.pop(match_id, None)
        if match is None:
            return False
        for user_id in match.users:
            del self._match_of[user_id], self._heard_at[user_id], self._granted_at[user_id]
            self._gone.discard(user_id)
        return True

    def heard(self, user_id: str, now: float) -> None:
        """A sign of life from a device."""
        if user_id in self._heard_at:
            self._heard_at[user_id] = now
            self._gone.discard(user_id)

    def gone(self, user_id: str) -> None:
        """The stream to a device broke; until its next sign of life it counts as silent."""
        if user_id in self._heard_at:
            self._gone.add(user_id)

    def silent(self, match: LiveMatch, now: float) -> frozenset[str]:
        """Whose device of a match says nothing now."""
        return frozenset(
            user
            for user in match.users
            if user in self._gone or self._heard_at.get(user, now) + SILENT_AFTER_S <= now
        )

    def unanswered(self, at: datetime) -> list[LiveMatch]:
        """Proposals whose time to accept is over."""
        return [
            match
            for match in self
            if not match.agreed and match.accept_until is not None and match.accept_until <= at
        ]

    def lost(self, now: float) -> list[tuple[LiveMatch, frozenset[str]]]:
        """Matches with a silent device, and whose."""
        silent = {user for user, at in self._heard_at.items() if at + LOST_AFTER_S <= now}
        return [
            (match, frozenset(silent.intersection(match.users)))
            for match in self
            if not silent.isdisjoint(match.users)
        ]

    def renew(self, now: float) -> list[tuple[LiveMatch, str]]:
        """Whose grant is due; they count as renewed now. A proposal has none yet."""
        due = [
            (self._matches[self._match_of[user]], user)
            for user, at in self._granted_at.items()
            if at + RENEW_AFTER_S <= now
        ]
        due = [(match, user) for match, user in due if match.agreed]
        for _, user_id in due:
            self._granted_at[user_id] = now
        return due
