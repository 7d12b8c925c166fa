"""How often one user may say what: a flood costs its own stream, nobody else's wait."""

from __future__ import annotations

from inyeon.runtime.ratelimit import Rate, RateLimiter

HEARTBEATS = Rate(per_s=50, burst=200)
"""A device beats once a second at most and sends a burst after a resume; 50 cost some 10 ms a
second."""
VERBS = Rate(per_s=10, burst=100)
"""Each may write to the log and the store, some ms. A person needs one in some seconds."""
QUESTIONS = Rate(per_s=1, burst=10)
"""Costs are worked out once a second."""
RATES = {"heartbeat": HEARTBEATS, "why_waiting": QUESTIONS}


class VerbLimits:
    """Of one replica; a stream that is opened again goes on with what is left."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    def take(self, user_id: str, verb: str) -> None:
        """Raises Overloaded (RATE_LIMITED) with the time to wait, which ends the stream."""
        rate = RATES.get(verb, VERBS)
        kind = verb if verb in RATES else "verb"
        self._limiter.take(user_id, f"seek/{kind}", rate)
