"""What operators say of scores, and what follows: which version counts, and which experiment runs.

Every word is kept, in order. What is in force in a pool follows from the words about it and about
all pools, the newest last; so it is the same on every replica and after every restart. A word holds
the numbers of the versions that it names: a file that is lost takes nothing out of force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from inyeon.matching.domain.effects import LEAST_BLOCKS
from inyeon.matching.domain.guarding import GUARDRAILS, Guardrail
from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.refusals import Refused
from inyeon.matching.domain.score_models import KEPT_ACTIVATIONS, ScoreModel
from inyeon.matching.domain.switchback import Plan

MOST_BLOCKS = 1_000
"""With two arms and windows of half an hour that is six weeks."""


class WordRefused(Refused):
    """What was said cannot be done now. `field` names the part, `reason` is a code."""


class Verb(StrEnum):
    """What can be said."""

    ACTIVATE = "activate"
    ROLL_BACK = "roll-back"
    """The version before counts again; a running experiment ends, and what counted before it does.
    """
    START = "start"
    """An experiment begins."""
    STOP = "stop"
    """The experiment ends; its control does not count unless it did before."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A switchback between versions. Raises WordRefused: ARMS or BLOCKS."""

    plan: Plan
    models: tuple[ScoreModel, ...]
    """One for each arm of the plan, in its order: the control first. An arm is named by its
    version."""
    blocks: int
    """So many blocks of windows, 6 at least; then it ends by itself."""
    guardrails: tuple[Guardrail, ...] = GUARDRAILS
    number: int = 0
    """Of the word that started it; 0: not said yet."""

    def __post_init__(self) -> None:
        if tuple(model.version for model in self.models) != self.plan.arms:
            raise WordRefused("arms", "ARMS", "every arm is a version")
        if not LEAST_BLOCKS <= self.blocks <= MOST_BLOCKS:
            raise WordRefused(
                "blocks", "BLOCKS", f"{self.blocks} is not {LEAST_BLOCKS} to {MOST_BLOCKS}"
            )

    @property
    def windows(self) -> int:
        """Of all blocks."""
        return self.blocks * len(self.plan.arms)

    def arm_at(self, at_s: float) -> tuple[ScoreModel, int] | None:
        """What counts at that moment (seconds since the epoch), and the number of the window; None
        before the start and after the last window."""
        window = self.plan.window(at_s)
        if window is None or window.number >= self.windows:
            return None
        return self.models[self.plan.arms.index(window.arm)], window.number


@dataclass(frozen=True, slots=True)
class Word:
    """Somebody said something about one pool, or about all."""

    verb: Verb
    pool: str
    """A name, or ALL_POOLS."""
    said_by: str
    at_s: float
    """Seconds since the epoch."""
    model: ScoreModel | None = None
    """Of ACTIVATE."""
    experiment: Experiment | None = None
    """Of START."""
    note: str = ""
    """Why, for people; of a guardrail what broke."""
    number: int = 0
    """Place among all words, from 1; 0: not said yet."""
    unreadable: str = ""
    """Why it cannot be understood here; it then changes nothing."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What follows from the words about a pool."""

    activations: tuple[ScoreModel, ...] = ()
    """Versions that operators made count, the one that counts last; empty: that of the settings."""
    experiment: Experiment | None = None
    unreadable: str = ""
    """Why the newest word could not be understood."""

    def model(self, usual: ScoreModel) -> ScoreModel:
        """The version that counts outside experiments; `usual` where nothing was said."""
        return self.activations[-1] if self.activations else usual


def in_force(words: Iterable[Word]) -> InForce:
    """After all of them, in order."""
    state = InForce()
    for word in words:
        state = after(state, word)
    return state


def after(state: InForce, word: Word) -> InForce:
    """One word later. A word that cannot be understood here changes nothing and is named."""
    if word.unreadable:
        return replace(state, unreadable=f"word {word.number}: {word.unreadable}")
    if word.verb is Verb.ACTIVATE and word.model is not None:
        return InForce(_with(state.activations, word.model))
    if word.verb is Verb.START and word.experiment is not None:
        return InForce(state.activations, replace(word.experiment, number=word.number))
    if word.verb is Verb.ROLL_BACK and state.experiment is None:
        return InForce(state.activations[:-1])
    return InForce(state.activations)


def check(state: InForce, word: Word) -> None:
    """Whether it makes sense to say that now. Stopping and going back in all pools always does:
    each has words of its own.

    Raises WordRefused: EXPERIMENT_RUNS, NO_EXPERIMENT or NOTHING_BEFORE."""
    runs = state.experiment is not None
    if runs and word.verb in (Verb.ACTIVATE, Verb.START):
        raise WordRefused("pool", "EXPERIMENT_RUNS", "stop the experiment or roll back first")
    if runs or word.pool == ALL_POOLS:
        return
    if word.verb is Verb.STOP:
        raise WordRefused("pool", "NO_EXPERIMENT", "no experiment runs")
    if word.verb is Verb.ROLL_BACK and not state.activations:
        raise WordRefused("pool", "NOTHING_BEFORE", "no version was activated before")


def _with(before: tuple[ScoreModel, ...], model: ScoreModel) -> tuple[ScoreModel, ...]:
    if before and before[-1].digest == model.digest:
        return before
    return (*before, model)[-KEPT_ACTIVATIONS:]
