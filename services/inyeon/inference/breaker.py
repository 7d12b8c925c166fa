"""A breaker: stops asking somebody who does not answer, and lets one ask whether that is over.

closed    --(THRESHOLD failures in a row, or trip)--> open
open      --(retry_s)-->   half-open
half-open --(success)-->   closed
half-open --(failure)-->   open

Half-open lets one trial through at a time. A success seen by anybody (a probe, a call that was
under way) closes it from every state.
"""

from __future__ import annotations

from enum import IntEnum

from inyeon.runtime.clock import Clock

THRESHOLD = 3  # one lost call is a network; three in a row are a server


class State(IntEnum):
    """Numbers are those of the gauge."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Not for use from several threads. Whoever was let through must report how it ended."""

    def __init__(self, clock: Clock, *, retry_s: float, threshold: int = THRESHOLD) -> None:
        self._clock = clock
        self._retry_s = retry_s
        self._threshold = threshold
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False

    @property
    def state(self) -> State:
        """Now; an open one becomes half-open by time alone."""
        if self._opened_at is None:
            return State.CLOSED
        waited = self._clock.monotonic() - self._opened_at
        return State.HALF_OPEN if waited >= self._retry_s else State.OPEN

    def allow(self) -> bool:
        """May a call go through? In half-open only one until it reports."""
        match self.state:
            case State.CLOSED:
                return True
            case State.HALF_OPEN if not self._on_trial:
                self._on_trial = True
                return True
        return False

    def succeeded(self) -> None:
        """Somebody got an answer."""
        self._failures = 0
        self._opened_at = None
        self._on_trial = False

    def failed(self) -> None:
        """Somebody got none."""
        self._failures += 1
        if self._failures >= self._threshold or self._opened_at is not None:
            self.trip()

    def abandoned(self) -> None:
        """The call ended without telling anything: its caller left, or the queue was full."""
        self._on_trial = False

    def trip(self) -> None:
        """Opens now, for `retry_s` from now."""
        self._failures = max(self._failures, self._threshold)
        self._opened_at = self._clock.monotonic()
        self._on_trial = False
