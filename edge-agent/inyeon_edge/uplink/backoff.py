"""How long to wait before a connection is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

FIRST_S = 0.2
FACTOR = 2.0
# Reached at the 6th try. 10,000 devices that lost the same platform then open 3,300 times a second
# over all its replicas (mean wait 3 s), and a platform that is back has them all after 4 s.
CAP_S = 4.0
# A wait lies in [50 %, 100 %] of its step, so that devices of one broken replica spread.
JITTER = 0.5


@dataclass(slots=True)
class Backoff:
    """Exponential waits with jitter: between 0.1 s at first and 4 s at most."""

    rng: Random
    first_s: float = FIRST_S
    cap_s: float = CAP_S
    tries: int = 0

    def next_s(self) -> float:
        """The next wait, in seconds."""
        step_s = min(self.cap_s, self.first_s * FACTOR ** min(self.tries, 32))
        self.tries += 1
        return step_s * (1.0 - JITTER * self.rng.random())

    def reset(self) -> None:
        """The connection did something useful: the next wait is short again."""
        self.tries = 0
