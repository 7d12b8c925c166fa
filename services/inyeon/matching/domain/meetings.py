"""Live matches of a replica and when each device was last heard. A user is in at most one."""

from __future__ import annotations

from collections.abc import Iterator

from inyeon.matching.domain.matches import LiveMatch

LOST_AFTER_S = 30.0  # three heartbeats of at most 10 s
RENEW_AFTER_S = 60.0  # a grant lives 120 s, so one renewal may get lost


class Meetings:
    """Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._matches: dict[str, LiveMatch] = {}
        self._match_of: dict[str, str] = {}
        self._heard_at: dict[str, float] = {}
        self._granted_at: dict[str, float] = {}

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

    def end(self, match_id: str) -> bool:
        """A match is over. False: it does not live here."""
        match = self._matches.pop(match_id, None)
        if match is None:
            return False
        for user_id in match.users:
            del self._match_of[user_id], self._heard_at[user_id], self._granted_at[user_id]
        return True

    def heard(self, user_id: str, now: float) -> None:
        """A sign of life from a device."""
        if user_id in self._heard_at:
            self._heard_at[user_id] = now

    def lost(self, now: float) -> list[tuple[LiveMatch, frozenset[str]]]:
        """Matches with a silent device, and whose."""
        silent = {user for user, at in self._heard_at.items() if at + LOST_AFTER_S <= now}
        return [
            (match, frozenset(silent.intersection(match.users)))
            for match in self
            if not silent.isdisjoint(match.users)
        ]

    def renew(self, now: float) -> list[tuple[LiveMatch, str]]:
        """Whose grant is due; they count as renewed now."""
        due = [user for user, at in self._granted_at.items() if at + RENEW_AFTER_S <= now]
        for user_id in due:
            self._granted_at[user_id] = now
        return [(self._matches[self._match_of[user_id]], user_id) for user_id in due]
