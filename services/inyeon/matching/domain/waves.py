"""One pass over the pool: who meets whom now, and how many fit everybody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain import scoring
from inyeon.matching.domain.edges import find_candidates
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.solving import solve


@dataclass(frozen=True, slots=True)
class WaveRules:
    """What a wave goes by. Gates are not among it: they always hold."""

    patience: Patience = Patience()  # noqa: RUF009 - frozen
    routes: Routes = Routes()  # noqa: RUF009 - frozen


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
    pairs: tuple[Pair, ...]
    """By rising first position."""
    fitting: NDArray[np.int64]
    """(n,) people in the snapshot who pass both people's gates."""


def decide(snapshot: Snapshot, rules: WaveRules, seed: int) -> Wave:
    """Pairs people. The same snapshot, rules and seed give the same pairs."""
    candidates = find_candidates(snapshot, rules.routes, rules.patience, seed)
    mates, steps = solve(candidates.edges, len(snapshot))
    firsts = np.flatnonzero(mates > np.arange(len(mates)))
    scores = steps[firsts] * (scoring.MAX_SCORE / scoring.SCORE_STEPS)
    pairs = tuple(
        Pair(one, other, score)
        for one, other, score in zip(
            firsts.tolist(), mates[firsts].tolist(), scores.tolist(), strict=True
        )
    )
    return Wave(snapshot, pairs, candidates.fitting)
