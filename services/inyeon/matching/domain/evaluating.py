"""What another policy would have earned, from the log of the one that ran.

Each row is a logged decision: its reward, the chance with which the running policy took it, and the
chance with which the other one would have. Estimators: inverse propensity (Horvitz and Thompson
1952), self-normalised (Hajek 1971), doubly robust (Dudik, Langford and Li 2011). Rows of a wave
share the wave's choice, so intervals take whole waves as the unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.refusals import Refused

Exact = NDArray[np.float64]
Ints = NDArray[np.int64]

Z_95 = 1.959964
LEAST_PROPENSITY = 1e-6
"""A decision that was rarer was not logged on purpose: exploration has a floor of 0.001."""
RESAMPLES = 2_000


class EvaluationRefused(Refused):
    """The log cannot answer. `field` names the column, `reason` is a code."""


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """n decisions. Raises EvaluationRefused: LENGTH, NOT_FINITE, PROPENSITY, TARGET or TOO_FEW."""

    reward: Exact
    """(n,) what the decision earned, such as 1 for a conversation above a minute."""
    propensity: Exact
    """(n,) chance with which it was taken, in [0.000001, 1]."""
    target: Exact
    """(n,) chance with which the other policy takes it, in [0, 1]."""
    wave: Ints
    """(n,) what was decided together."""

    def __post_init__(self) -> None:
        for name in ("propensity", "target", "wave"):
            _check_column(name, getattr(self, name), len(self.reward))
        _check_column("reward", self.reward, len(self.reward))
        if not ((self.propensity >= LEAST_PROPENSITY) & (self.propensity <= 1.0)).all():
            raise EvaluationRefused("propensity", "PROPENSITY", "outside 0.000001 to 1")
        if not ((self.target >= 0.0) & (self.target <= 1.0)).all():
            raise EvaluationRefused("target", "TARGET", "outside 0 to 1")
        if len(np.unique(self.wave)) < 2:
            raise EvaluationRefused("wave", "TOO_FEW", "two waves at least, for an interval")

    @property
    def weights(self) -> Exact:
        """(n,) how much likelier the other policy takes it."""
        return np.asarray(self.target / self.propensity)


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """What a model believes about the same n rows, from other data or other folds."""

    taken: Exact
    """(n,) reward of the decision that was taken."""
    target: Exact
    """(n,) mean reward of what the other policy would decide there."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean reward of the other policy, with a 95 % interval."""

    value: float
    low: float
    high: float
    effective: float
    """Rows that the weights are worth, (sum w)^2 / sum w^2 (Kish 1965): far below n means that the
    two policies hardly overlap and that the interval should not be trusted."""
    waves: int

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


def ips(log: Logged) -> Estimate:
    """Mean of weight * reward: unbiased, and wide where weights are large."""
    return _estimate(log, log.weights * log.reward)


def self_normalised(log: Logged) -> Estimate:
    """Weighted mean reward: a little biased, narrower, never outside the rewards.

    Raises EvaluationRefused NO_OVERLAP where the other policy would take nothing that was taken."""
    weights = log.weights
    if not weights.sum() > 0:
        raise EvaluationRefused("target", "NO_OVERLAP", "nothing that it would do was ever done")
    weights = weights / weights.max()  # chances near the smallest float lose digits in products
    value = float((weights * log.reward).sum() / weights.sum())
    found = _estimate(log, weights * (log.reward - value) / weights.mean())
    return Estimate(value, found.low + value, found.high + value, found.effective, found.waves)


def ips_total(log: Logged, waves: int) -> Estimate:
    """Mean reward that the other policy earns in a wave, when rows are pairs and policies may pair
    more or fewer people: sum of weight * reward over all `waves`, those without a row included.

    Raises EvaluationRefused WAVES where fewer waves are told than there are in the log."""
    sums, _ = _by_wave(log, log.weights * log.reward)
    if waves < len(sums):
        raise EvaluationRefused("waves", "WAVES", f"{waves}, but rows are of {len(sums)}")
    value = float(sums.sum()) / waves
    spread = float(((sums - value) ** 2).sum()) + (waves - len(sums)) * value**2
    half = Z_95 * math.sqrt(spread / (waves - 1) / waves)
    return Estimate(value, value - half, value + half, _effective(log), waves)


def doubly_robust(log: Logged, guess: Guess) -> Estimate:
    """The model's guess, corrected by what it got wrong where we know: unbiased where propensities
    or guesses are right. Raises EvaluationRefused for guesses of another length or not finite."""
    _check_column("guess.taken", guess.taken, len(log.reward))
    _check_column("guess.target", guess.target, len(log.reward))
    return _estimate(log, guess.target + log.weights * (log.reward - guess.taken))


def bootstrapped(log: Logged, guess: Guess | None = None, seed: int = 0) -> Estimate:
    """`ips`, or `doubly_robust` with a guess, with a percentile interval over resampled waves:
    for skewed rewards such as seconds, where the normal one is too symmetric."""
    found = ips(log) if guess is None else doubly_robust(log, guess)
    values = log.weights * log.reward
    if guess is not None:
        values = guess.target + log.weights * (log.reward - guess.taken)
    sums, counts = _by_wave(log, values)
    draw = np.random.default_rng(seed)
    chosen = draw.integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(found.value, float(low), float(high), found.effective, found.waves)


def _estimate(log: Logged, values: Exact) -> Estimate:
    """Mean of values (n,) with a normal interval whose variance is between waves: the mean is a
    ratio of sums over waves, linearised."""
    sums, counts = _by_wave(log, values)
    value, waves = float(values.mean()), len(sums)
    rest = sums - value * counts
    half = Z_95 * math.sqrt(waves / (waves - 1) * float(rest @ rest)) / len(values)
    return Estimate(value, value - half, value + half, _effective(log), waves)


def _effective(log: Logged) -> float:
    weights = log.weights
    return float(weights.sum() ** 2 / max(float(weights @ weights), math.ulp(0.0)))


def _by_wave(log: Logged, values: Exact) -> tuple[Exact, Exact]:
    places = np.unique(log.wave, return_inverse=True)[1]
    return np.bincount(places, values).astype(np.float64), np.bincount(places).astype(np.float64)


def _check_column(name: str, values: NDArray[np.generic], rows: int) -> None:
    if values.shape != (rows,) or rows == 0:
        raise EvaluationRefused(name, "LENGTH", f"{values.shape} where {rows} rows are logged")
    if not np.isfinite(values.astype(np.float64)).all():
        raise EvaluationRefused(name, "NOT_FINITE", "a value is NaN or infinite")
