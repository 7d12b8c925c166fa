"""Token buckets, one for each caller and method, the least recently used ones forgotten."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Overloaded

REMEMBERED = 100_000
"""Buckets kept: about 250 B each, 25 MB at most. A forgotten one comes back full, which a caller
can force only by being 100,000 callers."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` calls a second on average, `burst` at once."""

    per_s: float
    burst: float


class RateLimiter:
    """Refuses callers that come too often."""

    def __init__(self, clock: Clock, remembered: int = REMEMBERED) -> None:
        self._clock = clock
        self._remembered = remembered
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, caller: str, method: str, rate: Rate) -> None:
        """Takes one call out of the bucket. Raises Overloaded (RATE_LIMITED) with the time until
        there is one again.
        """
        now = self._clock.monotonic()
        level, seen = self._buckets.pop((caller, method), (rate.burst, now))
        level = min(rate.burst, level + (now - seen) * rate.per_s)
        if level < 1:
            self._put(caller, method, level, now)
            message = "too many calls: wait and try again"
            wait_s = (1 - level) / rate.per_s
            raise Overloaded(message, reason="RATE_LIMITED", retry_after_s=wait_s)
        self._put(caller, method, level - 1, now)

    def _put(self, caller: str, method: str, level: float, now: float) -> None:
        self._buckets[caller, method] = (level, now)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
