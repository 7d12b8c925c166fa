"""Operators start and stop switchbacks between two versions, and read what they showed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.matching.app.score_ports import ScoreTallies
from inyeon.matching.app.scores import PoolScores, Scores
from inyeon.matching.app.watching import whole_blocks
from inyeon.matching.domain.effects import LEAST_BLOCKS, METRICS, Effect, effect, in_blocks
from inyeon.matching.domain.guarding import GUARDRAILS, Guardrail
from inyeon.matching.domain.refusals import Refused
from inyeon.matching.domain.score_words import Experiment, Verb, Word
from inyeon.matching.domain.switchback import Facts, Plan
from inyeon.matching.domain.tallies import window_facts
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Planned:
    """What an operator asks for."""

    pool: str
    name: str
    control: str
    candidate: str
    window_s: float
    burn_in_s: float
    blocks: int
    guardrails: tuple[Guardrail, ...] = ()
    """Empty: the usual ones."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """Of the experiment that runs in a pool or ran last."""

    experiment: Experiment
    number: int
    """Of the word that began it."""
    running: bool
    arm: str
    """That counts now; empty: none does."""
    blocks_done: int
    effects: tuple[Effect, ...]
    """From LEAST_BLOCKS pairs of windows on."""


class Experiments:
    """What operators may say of experiments. Every method raises NotAllowed (ROLE_MISSING) and
    StoreUnavailable."""

    def __init__(self, scores: Scores, tallies: ScoreTallies, clock: Clock) -> None:
        self._scores, self._tallies, self._clock = scores, tallies, clock

    async def start(self, roles: frozenset[str], operator: str, planned: Planned) -> Experiment:
        """Begins now; durable when it returns. Raises NotFound (POOL_UNKNOWN), InvalidRequest
        (UNKNOWN_VERSION, NAME, ARMS, WINDOW, BURN_IN, BLOCKS, METRIC, TOLERANCE),
        PreconditionFailed (EXPERIMENT_RUNS, or where the registry cannot be read)."""
        self._scores.allow(roles, planned.pool)
        models = (
            await self._scores.model(planned.control, "control"),
            await self._scores.model(planned.candidate, "candidate"),
        )
        at_s = self._clock.now().timestamp()
        try:
            arms = tuple(model.version for model in models)
            plan = Plan(planned.name, arms, at_s, planned.window_s, planned.burn_in_s)
            rails = checked_rails(planned.guardrails)
            experiment = Experiment(plan, models, planned.blocks, rails)
        except Refused as refused:
            raise InvalidRequest(
                str(refused), reason=refused.reason, field=refused.field
            ) from refused
        word = Word(
            Verb.START, planned.pool, operator, at_s, experiment=experiment, note=planned.note
        )
        state = await self._scores.say(word)
        return state.experiment or experiment

    async def stop(self, roles: frozenset[str], operator: str, pool: str, note: str) -> str:
        """Ends it; returns the version that counts. Raises NotFound (POOL_UNKNOWN),
        PreconditionFailed (NO_EXPERIMENT)."""
        self._scores.allow(roles, pool)
        at_s = self._clock.now().timestamp()
        state = await self._scores.say(Word(Verb.STOP, pool, operator, at_s, note=note))
        return self._scores.counts(state).version

    async def result(self, scores: PoolScores) -> Result | None:
        """Of the newest experiment of a pool that `Scores.pools` gave; None: there was none."""
        begun = [word for word in scores.words if word.experiment is not None]
        if not begun or begun[-1].experiment is None:
            return None
        experiment, number, at_s = begun[-1].experiment, begun[-1].number, self._now_s(scores.words)
        running = scores.state.experiment is not None
        arm = experiment.arm_at(at_s) if running else None
        done = whole_blocks(experiment, at_s)
        tallies = await self._tallies.of(number, scores.pool)
        facts = window_facts(experiment.plan, tallies, done * len(experiment.plan.arms))
        effects = tuple(effects_of(experiment.plan, facts))
        return Result(
            experiment, number, running, "" if arm is None else arm[0].version, done, effects
        )

    def _now_s(self, words: Sequence[Word]) -> float:
        """Now, or when the experiment ended: what came later says nothing about it."""
        ends = [word.at_s for word in words if word.experiment is None]
        began = max(word.at_s for word in words if word.experiment is not None)
        now_s = self._clock.now().timestamp()
        return min([now_s, *(end for end in ends if end > began)])


def checked_rails(rails: tuple[Guardrail, ...]) -> tuple[Guardrail, ...]:
    """The usual ones for none. Raises Refused: METRIC or TOLERANCE."""
    for rail in rails:
        if rail.metric not in METRICS:
            raise Refused("guardrails.metric", "METRIC", f"none of {', '.join(METRICS)}")
        if not (math.isfinite(rail.floor) and 0 <= rail.tolerance < math.inf and rail.floor >= 0):
            raise Refused("guardrails.tolerance", "TOLERANCE", "0 or above, and a number")
    return rails or GUARDRAILS


def effects_of(plan: Plan, facts: Sequence[Facts]) -> list[Effect]:
    """Of every arm on every metric, where there are enough pairs of windows."""
    return [
        effect(plan, facts, arm, metric)
        for arm in plan.arms[1:]
        for metric in METRICS
        if len(in_blocks(plan, facts, arm, metric)) >= LEAST_BLOCKS
    ]
