"""The desk: the hall with every seam, handed to each use case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from inyeon.matching.app.hall import Hall
from inyeon.matching.app.ports import Book, Grants, Meter, Passes, Teller, TicketLog
from inyeon.matching.app.recording import Recorder
from inyeon.matching.app.sessions import Sessions
from inyeon.matching.app.steering import Steer
from inyeon.matching.app.watching import Watch
from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.overflowing import Overflow
from inyeon.matching.domain.policies import Policies
from inyeon.matching.domain.waves import WaveRules
from inyeon.runtime.clock import Clock


def _unknown(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What use cases work with."""

    book: Book
    tickets: TicketLog
    teller: Teller
    passes: Passes
    grants: Grants
    meter: Meter
    clock: Clock
    rules: WaveRules
    pool: str
    replica: str
    new_id: Callable[[], str]
    """A random id of at most 64 characters."""
    max_waiting: int
    policy_versions: frozenset[str] = frozenset()
    verdicts_stale: timedelta = timedelta(seconds=5)
    """Nobody is paired while verdicts may be missing that are older."""
    accept_within: timedelta = timedelta(0)
    """Both must accept a match in so long; 0: nobody is asked."""
    countries: frozenset[str] = frozenset()
    """Countries that there are; empty: any two letters."""
    hash_device: Callable[[str], str] = _unknown
    """A device's key as a keyed hash; empty: unknown."""
    recorder: Recorder | None = None
    """Writes down what each wave went by; None: only what it decided."""
    wave_every_s: float = 0.1
    """Pause between waves."""
    policies: Policies | None = None
    """What holds for people of each country, the settings among it; None: the settings alone."""
    starvation_bound_s: float = 60.0
    """Whoever waited so long, pauses not counted, is offered to widen their wish, and again after
    each such time; 0: nobody is."""
    overflow: Overflow | None = None
    """Whether and when people move to a neighbouring pool."""
    sessions: Sessions | None = None
    """What conversations said about people, of all pools of the replica; None: waves do without."""
    steer: Steer | None = None
    """Which version of the score waves go by; None: that of the rules."""
    watch: Watch | None = None
    """Counts what experiments show; None: there are none."""
    hall: Hall = field(default_factory=Hall)

    def beside(self, pool: str) -> Desk:
        """The desk of another pool of the same replica, with a hall and a recorder of its own."""
        recorder = None if self.recorder is None else Recorder(self.recorder.codec)
        meter = self.meter.for_pool(pool)
        steer = None if self.steer is None else self.steer.beside(pool)
        watch = None if self.watch is None or steer is None else self.watch.beside(steer)
        return replace(
            self, pool=pool, meter=meter, recorder=recorder, steer=steer, watch=watch, hall=Hall()
        )

    def course(self, seed: int) -> Course:
        """What the wave of that seed goes by."""
        return Course(self.rules.score) if self.steer is None else self.steer.course(seed)

    def started(self, waited: timedelta) -> float:
        """The monotonic time at which somebody began who has waited so long by the wall clock.

        Clocks of replicas differ: a beginning in the future counts as now.
        """
        return self.clock.monotonic() - max(waited.total_seconds(), 0.0)
