"""What the next wave goes by: the version in force, one that is tried, or an experiment's arm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inyeon.matching.domain.exploring import Exploration, Pair, mostly, pair_chances
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.score_words import InForce
from inyeon.matching.domain.waves import Wave

Shares = tuple[tuple[ScoreModel, float], ...]


@dataclass(frozen=True, slots=True)
class Course:
    """Of one wave."""

    model: ScoreModel
    propensity: float = 1.0
    """Chance that this wave went by this version, exact."""
    shares: Shares = ()
    """Every version that it might have gone by, with its chance, this one included; empty: it was
    not explored."""
    experiment: str = ""
    """Name of the experiment whose arm it is; its propensity is that of the arm in its window."""
    window: int = 0
    """Of the experiment."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A share of the waves of one pool goes by other versions than the usual one."""

    exploration: Exploration
    shares: Shares

    def course(self, seed: int) -> Course:
        """Of the wave of that seed; the same on every replica."""
        choice = self.exploration.choose(seed)
        model = next(one for one, _ in self.shares if one.version == choice.version)
        return Course(model, choice.propensity, self.shares)


def tried(pool: str, usual: ScoreModel, others: Iterable[ScoreModel], share: float) -> Tried | None:
    """`share` of the pool's waves goes by the others, which divide it evenly; None where there is
    nothing to try. Raises ExplorationRefused (SHARES)."""
    rest = tuple(one for one in others if one.version != usual.version)
    if not share or not rest:
        return None
    exploration = mostly(f"explore {pool}", usual.version, (m.version for m in rest), share)
    models = (usual, *rest)
    shares = tuple(zip(models, (part for _, part in exploration.shares), strict=True))
    return Tried(exploration, shares)


def course_of(
    state: InForce, usual: ScoreModel, trial: Tried | None, seed: int, at_s: float
) -> Course:
    """Of the wave of that seed at that moment (seconds since the epoch). An experiment goes before
    exploration: both at once would answer neither question."""
    experiment = state.experiment
    arm = experiment.arm_at(at_s) if experiment is not None else None
    if experiment is not None and arm is not None:
        chance = 1 / len(experiment.models)
        return Course(arm[0], chance, (), experiment.plan.name, arm[1])
    return Course(usual) if trial is None else trial.course(seed)


def chances(course: Course, waves: dict[str, Wave], wave: Wave) -> tuple[float, ...]:
    """Chance of each pair of `wave`, given what every version of the course would have paired."""
    exploration = Exploration("shares", tuple((m.version, share) for m, share in course.shares))
    pairs = {version: _places(one) for version, one in waves.items()}
    found = pair_chances(exploration, pairs)
    return tuple(found[pair] for pair in _places(wave))


def _places(wave: Wave) -> list[Pair]:
    return [(pair.one, pair.other) for pair in wave.pairs]
