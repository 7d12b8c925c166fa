"""What has been seen for one rule: a leaky bucket of seconds and the last n windows."""

from __future__ import annotations

import math
from collections import deque

from inyeon.moderation.domain.observation import Scores
from inyeon.moderation.domain.policy import Rule

REMEMBERED = 16
"""Window ids kept for an explanation: 16 windows of one second cover every dwell of the shipped
policy."""
KEPT_DWELLS = 2.0  # what was held for an hour is forgotten as fast as what just fired
NO_DWELL_S = 5.0  # of a rule that only counts windows


class Evidence:
    """Evidence for one rule in one session. Changes in place: it is touched by every window."""

    __slots__ = (
        "_most_s",
        "band_s",
        "band_windows",
        "frames",
        "hits",
        "hot_s",
        "rule",
        "value",
        "window_ids",
        "windows",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.hits: deque[bool] = deque(maxlen=rule.k_of_n.n if rule.k_of_n else 1)
        self.value = 0.0
        self._most_s = KEPT_DWELLS * (rule.dwell_s or NO_DWELL_S)
        self.forget()

    def forget(self) -> None:
        """Starts again from nothing."""
        self.hot_s = 0.0
        self.band_s = 0.0
        self.windows = 0
        self.band_windows = 0
        self.frames = 0
        self.window_ids: deque[int] = deque(maxlen=REMEMBERED)
        self.hits.clear()

    def add(self, window_id: int, scores: Scores, credit_s: float) -> bool:
        """Takes a scored window in; True where it is quiet for this rule."""
        self.value = value = self.rule.value(scores.mean)
        quiet = value < self.rule.unsure_from
        if quiet and not self.hot_s and not self.band_s and not self.hits:
            return True  # the everyday window: nothing seen, nothing held
        if not quiet:
            self.window_ids.append(window_id)
        self._hold(value >= self.rule.threshold, scores.frames, credit_s)
        self._band(quiet, credit_s)
        if not self.windows and not self.band_windows:
            self.window_ids.clear()
        return quiet

    def _hold(self, hot: bool, frames: int, credit_s: float) -> None:
        if self.rule.k_of_n and (hot or self.hits):
            self.hits.append(hot)
        if hot:
            self.hot_s = min(self.hot_s + credit_s, self._most_s)
            self.windows += 1
            self.frames += frames
            return
        self.hot_s = max(0.0, self.hot_s - credit_s * self.rule.decay)
        if not self.hot_s and not any(self.hits):
            self.windows = self.frames = 0
            self.hits.clear()

    def _band(self, quiet: bool, credit_s: float) -> None:
        if not quiet:
            self.band_s += credit_s
            self.band_windows += 1
            return
        self.band_s = max(0.0, self.band_s - credit_s * self.rule.decay)
        if not self.band_s:
            self.band_windows = 0

    def fires(self, *, agreed: bool) -> bool:
        """The rule holds now; `agreed` shortens the dwell."""
        rule = self.rule
        if self.windows < rule.windows_at_least or self.frames < rule.frames_at_least:
            return False
        needed_s = math.inf if rule.dwell_s is None else rule.dwell_s
        if self.hot_s >= needed_s * (rule.agreement if agreed else 1.0):
            return True
        return rule.k_of_n is not None and sum(self.hits) >= rule.k_of_n.k

    def doubts(self) -> bool:
        """The unsure band was held for long enough, by more than one window."""
        limit_s = self.rule.unsure_dwell_s
        return limit_s is not None and self.band_windows >= 2 and self.band_s >= limit_s
