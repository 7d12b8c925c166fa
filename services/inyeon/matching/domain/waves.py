"""One pass over the pool: who meets whom now, and how many fit everybody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain import scoring
from inyeon.matching.domain.bounding import bound
from inyeon.matching.domain.field import Field, lay_out
from inyeon.matching.domain.graph import Graph, graph_of, pairs_of
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.lengths import LengthModel
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel
from inyeon.matching.domain.scoring import Patience, Worth
from inyeon.matching.domain.searching import Near, nobody_yet, search
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.solving import solve


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a pass may do. Counted in people, never in seconds: the same snapshot gives the
    same pairs on a busy machine."""

    people: int = 25_000
    """Longest waiting first; the others wait for the next pass and are counted as shed. 25,000 take
    some 0.4 s of a core."""
    scored: int = 256
    """People scored for each, the most alike first: all of them in a pool of 1,000."""
    kept: int = 16
    """Best of these that a pass chooses from: more change the total by less than 0.1 %."""
    cluster: int = 256
    """People in a group of alike ones."""


@dataclass(frozen=True, slots=True)
class WaveRules:
    """What a wave goes by. Gates are not among it: they always hold."""

    patience: Patience = Patience()  # noqa: RUF009 - frozen
    routes: Routes = Routes()  # noqa: RUF009 - frozen
    effort: Effort = Effort()
    score: ScoreModel = LINEAR_1
    lengths: LengthModel | None = None
    """Predicts how long two will talk, for scores that ask; None: their term LENGTH is 0."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two positions in the snapshot, the first one arrived earlier."""

    one: int
    other: int
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """What a pass decided."""

    snapshot: Snapshot
    """Those who took part."""
    pairs: tuple[Pair, ...]
    """By rising first position."""
    fitting: NDArray[np.int64]
    """(n,) people in the snapshot who pass both people's gates."""
    gap: float
    """0 to 1: at most so much of the best total of the candidate pairs is missing, by a dual bound.
    """
    shed: int = 0
    """People who had to wait for the next pass."""


def decide(
    snapshot: Snapshot,
    rules: WaveRules,
    seed: int,
    seekers: NDArray[np.int64] | None = None,
) -> Wave:
    """Pairs people. The same snapshot, rules, seed and seekers give the same pairs.

    `seekers` (k,) are positions in the snapshot: only pairs with one of them are looked at, and
    only theirs are the numbers of `fitting`. None: everybody.
    """
    if len(snapshot) < 2:
        return Wave(snapshot, (), np.zeros(len(snapshot), np.int64), 0.0)
    if seekers is None and len(snapshot) > rules.effort.people:
        return _decide_for_some(snapshot, rules, seed)
    return _decide_for_all(snapshot, rules, seed, seekers)


def _decide_for_all(
    snapshot: Snapshot, rules: WaveRules, seed: int, seekers: NDArray[np.int64] | None
) -> Wave:
    field = lay_out(snapshot, rules.routes, rules.patience, seed, rules.effort.cluster)
    worth = scoring.worth(rules.score, rules.lengths)
    near = _search(field, rules.effort, worth, _places(field, seekers))
    bonus = scoring.rarity_steps(near.fitting, float(worth.steps))
    graph = _graph(near, bonus)
    mates = solve(graph)
    most, total = float(bound(graph)), float(mates.won.sum()) / 2
    fitting = np.zeros(len(snapshot), np.int64)
    fitting[field.places] = near.fitting
    pairs = _pairs(
        field.places, mates.of, mates.won - _of_both(bonus, mates.of), float(worth.steps)
    )
    return Wave(snapshot, pairs, fitting, 1 - total / most if most else 0.0)


def warm_up() -> None:
    """Compiles what a pass runs, or loads it from the cache; some ten seconds the first time."""
    _decide_for_all(Snapshot.empty(), WaveRules(), 0, None)


def _decide_for_some(snapshot: Snapshot, rules: WaveRules, seed: int) -> Wave:
    longest = np.argsort(-snapshot.waited_s, kind="stable")[: rules.effort.people]
    wave = decide(snapshot.take(np.sort(longest)), rules, seed)
    shed = len(snapshot) - rules.effort.people
    return Wave(wave.snapshot, wave.pairs, wave.fitting, wave.gap, shed)


def _places(field: Field, seekers: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Where in the field the seekers are."""
    if seekers is None:
        return np.arange(len(field.places))
    chosen = np.zeros(len(field.places), np.bool_)
    chosen[seekers] = True
    return np.flatnonzero(chosen[field.places])


def _search(field: Field, effort: Effort, worth: Worth, seekers: NDArray[np.int64]) -> Near:
    near = nobody_yet(len(field.places), effort.kept)
    search(field.gates, field.facts, field.clusters, worth, seekers, effort.scored, near)
    return near


def _graph(near: Near, bonus: NDArray[np.int32]) -> Graph:
    people, most = near.who.shape
    one, other, steps = (np.empty(people * most, np.int32) for _ in range(3))
    count = pairs_of(near.who, near.steps, bonus, one, other, steps)
    return graph_of(one[:count], other[:count], steps[:count], people)


def _of_both(bonus: NDArray[np.int32], of: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n,) what rarity added to each person's pair."""
    return np.where(of >= 0, bonus + bonus[of], 0).astype(np.int32)


def _pairs(
    places: NDArray[np.int64], of: NDArray[np.int32], scores: NDArray[np.int32], unit: float
) -> tuple[Pair, ...]:
    have = np.flatnonzero(of >= 0)
    ends = np.stack([places[have], places[of[have]]])
    first = np.flatnonzero(ends[0] < ends[1])
    first = first[np.argsort(ends[0, first])]
    worth = scores[have[first]] / unit
    rows = zip(ends[0, first].tolist(), ends[1, first].tolist(), worth.tolist(), strict=True)
    return tuple(Pair(one, other, score) for one, other, score in rows)
