"""The score's terms SESSION and LENGTH for compiled loops: what recent conversations add.

Both are left out, and cost nothing, where the version of the score gives them no weight.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.compiling import compiled
from inyeon.matching.domain.languages import MAX_LEVEL
from inyeon.matching.domain.lengths import FAR, FEATURES, LengthModel
from inyeon.matching.domain.products import product
from inyeon.matching.domain.recents import USUAL_LOG
from inyeon.matching.domain.snapshot import Snapshot


class Tastes(NamedTuple):
    """Recent conversations of n people, by place in the field."""

    steps: NDArray[np.float32]
    """Whole numbers, laid out as the vectors of interests are; empty where nobody is known."""
    step: NDArray[np.float32]
    """(n,) value of one step; 0: nothing known."""
    usual: NDArray[np.float32]
    """(n,) log2 of the seconds that the person usually talks."""


class Curve(NamedTuple):
    """A length model without its detours: level + sum of slope * feature within low and high."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    slope: NDArray[np.float64]
    """(6,) each, in the order of lengths.FEATURES."""
    level: float


def tastes_of(
    snapshot: Snapshot, places: NDArray[np.int64], vector_from: NDArray[np.int64]
) -> Tastes:
    """Of everybody in the field's order; `places` (n,) positions in the snapshot, `vector_from`
    (n + 1,) where each vector begins. A taste in another space than the ticket's is unknown."""
    step = np.zeros(len(places), np.float32)
    usual = np.full(len(places), USUAL_LOG, np.float32)
    if not snapshot.recents:
        return Tastes(np.zeros(0, np.float32), step, usual)
    steps = np.zeros(vector_from[-1], np.float32)
    for place, position in enumerate(places.tolist()):
        recent = snapshot.recents[position]
        if recent is None:
            continue
        usual[place] = recent.usual_log
        if recent.space == snapshot.tickets[position].wish.interests.space:
            steps[vector_from[place] : vector_from[place + 1]] = recent.whole
            step[place] = recent.step
    return Tastes(steps, step, usual)


def curve_of(model: LengthModel | None) -> Curve:
    """None: a curve that is never asked."""
    if model is None:
        nothing = np.zeros(len(FEATURES))
        return Curve(nothing, nothing, nothing, 0.0)
    means, scales = np.asarray(model.means), np.asarray(model.scales)
    slope = np.asarray(model.weights) / scales
    level = model.intercept - float(slope @ means)
    return Curve(means - FAR * scales, means + FAR * scales, slope, level)


@compiled
def session_term(
    tastes: Tastes,
    vectors: NDArray[np.float32],
    vector_from: NDArray[np.int64],
    inverse: NDArray[np.float32],
    one: int,
    other: int,
) -> np.float32:
    """SESSION in [0, 1] of two people of one space, as session_vectors.session_term says; the same
    whoever is named first."""
    step, both = tastes.step, np.float32(0)
    first, last = vector_from[one], vector_from[one + 1]
    start, end = vector_from[other], vector_from[other + 1]
    if step[one] > 0:
        mine = product(tastes.steps[first:last], vectors[start:end])
        both += mine * (step[one] * inverse[other])
    if step[other] > 0:
        yours = product(tastes.steps[start:end], vectors[first:last])
        both += yours * (step[other] * inverse[one])
    return min(max(np.float32(0.5) + np.float32(0.25) * both, np.float32(0)), np.float32(1))


@compiled
def length_term(
    curve: Curve,
    tastes: Tastes,
    one: int,
    other: int,
    alike: np.float32,
    level: int,
    session: np.float32,
) -> np.float32:
    """LENGTH in [0, 1] as LengthModel.share says. `level`: best common level, 0: translated.

    tanh may differ in its last bit between machines; a score is rounded to steps a billion times as
    wide, so two of them disagree about as rarely as a disk lies."""
    low, high, slope = curve.low, curve.high, curve.slope
    mine, yours = float(tastes.usual[one]), float(tastes.usual[other])
    translated = 1.0 if level == 0 else 0.0
    total = curve.level
    total += slope[0] * min(max(float(alike), low[0]), high[0])
    total += slope[1] * min(max(level / MAX_LEVEL, low[1]), high[1])
    total += slope[2] * min(max(translated, low[2]), high[2])
    total += slope[3] * min(max(float(session), low[3]), high[3])
    total += slope[4] * min(max((mine + yours) / 2, low[4]), high[4])
    total += slope[5] * min(max(abs(mine - yours), low[5]), high[5])
    return np.float32(0.5 * (1.0 + math.tanh(0.5 * total)))
