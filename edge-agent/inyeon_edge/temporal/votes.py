"""Votes over a stretch of time."""

from __future__ import annotations

from collections import deque


class Votes:
    """Yes and no within the last `window_s` seconds. At most `most` votes are kept."""

    def __init__(self, window_s: float, most: int = 256) -> None:
        self._window_s = window_s
        self._votes: deque[tuple[float, bool]] = deque(maxlen=most)

    def cast(self, at_s: float, yes: bool) -> None:
        """Adds a vote. A clock that jumps back clears the older ones: their age is not known."""
        if self._votes and at_s < self._votes[-1][0]:
            self._votes.clear()
        self._votes.append((at_s, yes))
        while self._votes[0][0] < at_s - self._window_s:
            self._votes.popleft()

    def share(self) -> float:
        """Share of yes, [0, 1]; 0 where nobody voted."""
        if not self._votes:
            return 0.0
        return sum(yes for _, yes in self._votes) / len(self._votes)

    def __len__(self) -> int:
        return len(self._votes)

    def clear(self) -> None:
        """Forget all."""
        self._votes.clear()
