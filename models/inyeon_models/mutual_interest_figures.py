"""How good the mutual-interest model is beside always saying the base rate.

Pairs of one evening share people, mood and room, so evenings are resampled, never pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inyeon_models.mutual_interest import Exact

Ints = NDArray[np.int64]

LEVEL = 0.95
BINS = 5
MOST_WAVES = 11
"""Resamples of w waves: C(2w - 1, w) different ones, 352,716 for 11; 12 would be 1.4 million."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean of a paired difference to the constant: below 0 is better than it."""

    mean: float
    low: float
    high: float
    """Ends of the 95 % interval."""
    waves_better: int

    @property
    def wins(self) -> bool:
        """The interval excludes the constant."""
        return self.high < 0.0


def log_losses(both: Exact, said: Exact) -> Exact:
    """(n,) natural logarithms."""
    return np.asarray(-np.log(np.where(both == 1, said, 1 - said)))


def briers(both: Exact, said: Exact) -> Exact:
    """(n,) squared errors."""
    return np.asarray((both - said) ** 2)


def gain(differences: Exact, wave: Ints) -> Gain:
    """Percentile bootstrap over waves without chance: every resample with its exact probability, so
    no seed and no noise of drawing. Raises ValueError above MOST_WAVES waves."""
    waves, places = np.unique(wave, return_inverse=True)
    sums, counts = np.bincount(places, differences), np.bincount(places).astype(float)
    times, chances = resamples(len(waves))
    means = (times @ sums) / (times @ counts)
    order = np.argsort(means, kind="stable")
    reached = np.cumsum(chances[order])
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    low, high = (means[order][min(np.searchsorted(reached, t), len(order) - 1)] for t in tails)
    return Gain(float(differences.mean()), float(low), float(high), int((sums < 0).sum()))


@lru_cache(maxsize=2)  # 352,716 of them take 0.3 s and 30 MB
def resamples(waves: int) -> tuple[Exact, Exact]:
    """How often each wave is drawn, (r, waves), in every different resample; its chance, (r,)."""
    if not 1 <= waves <= MOST_WAVES:
        raise ValueError(f"waves: {waves}, 1 to {MOST_WAVES} can be counted out")
    bars = np.asarray(list(combinations(range(2 * waves - 1), waves - 1)), dtype=np.int64)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, 2 * waves - 1)))
    times = np.diff(edges, axis=1) - 1
    log_factorial = np.asarray([math.lgamma(count + 1) for count in range(waves + 1)])
    chances = np.exp(
        log_factorial[waves] - log_factorial[times].sum(axis=1) - waves * math.log(waves)
    )
    return times.astype(float), chances


def reliability(both: Exact, said: Exact) -> list[dict[str, float]]:
    """Fifths of the pairs by prediction: what was said and what happened, with Wilson's interval
    (which takes pairs as independent, so it is too narrow)."""
    fifths = np.array_split(np.argsort(said, kind="stable"), BINS)
    found = []
    for chosen in fifths:
        rate, (low, high) = float(both[chosen].mean()), wilson(both[chosen].mean(), len(chosen))
        values = {"said": float(said[chosen].mean()), "happened": rate, "low": low, "high": high}
        found.append({"pairs": len(chosen), **{k: round(v, 4) for k, v in values.items()}})
    return found


def wilson(rate: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of `count` tries (Wilson 1927)."""
    z = 1.959964
    middle = rate + z * z / (2 * count)
    half = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def slope(both: Exact, said: Exact) -> float:
    """Logistic regression of what happened on the predicted logit: 1 is honest, below 1 boasts,
    above 1 is too shy."""
    logits = np.log(said / (1 - said))
    rows, found = np.column_stack([logits, np.ones(len(logits))]), np.array([1.0, 0.0])
    for _ in range(50):
        now = 1 / (1 + np.exp(-rows @ found))
        spread = now * (1 - now)
        found += np.linalg.solve(rows.T @ (rows * spread[:, None]), rows.T @ (both - now))
    return float(found[0])
