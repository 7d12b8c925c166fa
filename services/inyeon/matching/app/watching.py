"""Watch an experiment: count what its windows show, stop it where an arm does harm, end it in time.

The owner of the pool counts in memory and adds to the store every ten seconds; a crash loses no
more than that. Everything is judged from the store, so a new owner goes on where the last one was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from inyeon.matching.app.score_ports import ScoreTallies
from inyeon.matching.app.steering import Steer
from inyeon.matching.domain.effects import LEAST_BLOCKS
from inyeon.matching.domain.guarding import Breach, breaches
from inyeon.matching.domain.matches import LiveMatch
from inyeon.matching.domain.score_words import Experiment, Verb, Word, WordRefused
from inyeon.matching.domain.tallies import Tally, ticket_tally, window_facts
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable

KEEP_EVERY_S = 10.0
SETTLES_S = 300.0
"""A block is judged so long after its end, or one window, whichever is less: those who came at the
end of it still waited then."""
COUNTED = frozenset({TicketEnd.MATCHED, TicketEnd.CANCELLED, TicketEnd.EXPIRED})
"""Ends that say something about a score; who moved waits on, and a sanction is nobody's choice."""
GUARDRAIL = "guardrail"
"""Who said it, where a guardrail did."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Watch:
    """Of one pool. One event loop owns it."""

    steer: Steer
    tallies: ScoreTallies
    clock: Clock
    _pending: dict[int, dict[int, Tally]] = field(default_factory=dict)
    """By experiment and window."""
    _kept_at: float = 0.0
    _judged: tuple[int, int] = (0, 0)
    """Experiment and whole blocks at the last judgement."""

    def beside(self, steer: Steer) -> Watch:
        """Of another pool of the same replica."""
        return Watch(steer, self.tallies, self.clock)

    def ended(self, end: TicketEnd, waited_s: float) -> None:
        """A ticket is over after waiting so long, pauses not counted."""
        if end in COUNTED:
            at_s = self.clock.now().timestamp()
            self._count(at_s - waited_s, ticket_tally(waited_s, end is TicketEnd.MATCHED))

    def reported(self, match: LiveMatch) -> None:
        """A person of the match reported the other."""
        for side in match.sides:
            self._count(match.started_at.timestamp() - side.waited_s, Tally(reported=1))

    async def work(self) -> None:
        """Keeps what was counted, and judges. Call it often. Raises StoreUnavailable; nothing that
        was counted is lost then."""
        now = self.clock.monotonic()
        if now < self._kept_at + KEEP_EVERY_S:
            return
        self._kept_at = now
        await self._keep()
        experiment = self.steer.state.experiment
        if experiment is not None:
            await self._judge(experiment)

    def _count(self, came_at_s: float, tally: Tally) -> None:
        experiment = self.steer.state.experiment
        window = None if experiment is None else experiment.plan.window(came_at_s)
        if experiment is None or window is None or not window.counted:
            return
        if window.number < experiment.windows:
            self._add(experiment.number, window.number, tally)

    async def _keep(self) -> None:
        pending, self._pending = self._pending, {}
        while pending:
            number, windows = pending.popitem()
            try:
                await self.tallies.add(number, self.steer.pool, windows)
            except Unavailable:
                pending[number] = windows
                self._put_back(pending)
                raise

    def _put_back(self, pending: dict[int, dict[int, Tally]]) -> None:
        for number, windows in pending.items():
            for window, tally in windows.items():
                self._add(number, window, tally)

    def _add(self, number: int, window: int, tally: Tally) -> None:
        windows = self._pending.setdefault(number, {})
        windows[window] = windows.get(window, Tally()).plus(tally)

    async def _judge(self, experiment: Experiment) -> None:
        blocks = whole_blocks(experiment, self.clock.now().timestamp())
        if (experiment.number, blocks) == self._judged:
            return
        found = await self._breaches(experiment, blocks)
        if found:
            await self._stop("; ".join(map(_told, found)))
        elif blocks >= experiment.blocks:
            await self._stop(f"all {experiment.blocks} blocks are done")
        self._judged = experiment.number, blocks

    async def _breaches(self, experiment: Experiment, blocks: int) -> list[Breach]:
        tallies = await self.tallies.of(experiment.number, self.steer.pool)
        facts = window_facts(experiment.plan, tallies, blocks * len(experiment.plan.arms))
        looks = experiment.blocks - LEAST_BLOCKS + 1
        return breaches(experiment.plan, facts, looks, experiment.guardrails)

    async def _stop(self, why: str) -> None:
        at_s = self.clock.now().timestamp()
        word = Word(Verb.STOP, self.steer.pool, GUARDRAIL, at_s, note=why[:500])
        try:
            await self.steer.words.say(word)
        except WordRefused:
            return  # somebody was first
        _log.warning("audit.score", pool=word.pool, verb=word.verb, operator=GUARDRAIL, why=why)
        self.steer.look_again()


def whole_blocks(experiment: Experiment, at_s: float) -> int:
    """Blocks that are over and settled at that moment."""
    plan = experiment.plan
    gone_s = at_s - plan.start_s - min(plan.window_s, SETTLES_S)
    return min(max(int(gone_s // (plan.window_s * len(plan.arms))), 0), experiment.blocks)


def _told(breach: Breach) -> str:
    return (
        f"{breach.arm}: {breach.metric} worse by {breach.harm:.4g} at least, "
        f"{breach.allowed:.4g} allowed"
    )
