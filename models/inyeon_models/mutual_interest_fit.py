"""Fits the mutual-interest model: logistic regression with people's own luck beside the features.

The same person stands in 5 to 22 rows. Without an effect of their own, a person whom many liked
would teach the features as 20 independent successes would. So logit = intercept + rows @ weights
+ luck of one + luck of the other, weights ~ N(0, strength^2 / features), luck ~ N(0, LUCK); the
most likely values by Newton's method. A stranger's luck is unknown: the answer is averaged over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.mutual_interest import Exact, sigmoid

Ints = NDArray[np.int64]

STRENGTH = 0.2
"""Standard deviation, believed beforehand, of what all features together add to a logit.

Set from published figures, not from ours: models that say whether one person likes another before
they met rank with an AUC of 0.49 to 0.62 on such surveys, the middle is 0.555. Where a logit of
deviation s is right, AUC = Phi(s / sqrt 2), so s = sqrt 2 * Phi^-1(0.555) = sqrt 2 * 0.138 = 0.196.
One deviation moves a rate of 16.5 % to between 13.9 and 19.4 %.
"""
LUCK = 1.0
"""Variance of a person's own effect on the logit: two of them beside the logistic's own variance of
pi^2 / 3 = 3.29 make 2 / 5.29 = 38 % of it, in the range of what round-robin studies of attraction
ascribe to the people rather than to the pair. Half and twice of it are in the card's table."""
AVERAGING = (16 * math.sqrt(3) / (15 * math.pi)) ** 2
"""A logit with normal noise of variance v averages to one that is sqrt(1 + 0.346 v) times smaller
(Zeger, Liang and Albert 1988)."""
NONE = 1e-6
"""Variance that stands for no effect of people at all."""
_STEPS, _CLOSE, _FLAT = 50, 1e-9, 1e-9


@dataclass(frozen=True, slots=True)
class Fitted:
    """logit of a pair of strangers = rows @ weights + intercept; weights (f,)."""

    weights: Exact
    intercept: float

    def probability(self, rows: Exact) -> Exact:
        """(n,) of rows (n, f)."""
        return sigmoid(rows @ self.weights + self.intercept)


def fit(
    rows: Exact, both: Exact, one: Ints, other: Ints, strength: float, luck: float = LUCK
) -> Fitted:
    """Weights for rows (n, f) of mean 0 and deviation 1; the mean prediction is the mean of `both`.

    Raises ConversionError where nobody, or everybody, liked each other, or nothing converged."""
    if not 0.0 < both.mean() < 1.0:
        raise ConversionError("mutual interest: pairs of both kinds are needed")
    first, second = (np.unique(people, return_inverse=True)[1] for people in (one, other))
    prior = strength**2 / rows.shape[1]
    weights = _Crossed(rows, both, first, second).weights(prior, luck)
    weights = weights / math.sqrt(1.0 + AVERAGING * 2 * luck)
    return Fitted(weights, _intercept(rows @ weights, both))


class _Crossed:
    """Newton's method where the people's part of the Hessian is two diagonals and one table."""

    def __init__(self, rows: Exact, both: Exact, first: Ints, second: Ints) -> None:
        self._rows = np.column_stack([rows, np.ones(len(rows))])
        self._both, self._first, self._second = both, first, second
        self._fixed = self._rows.shape[1]
        self._ones, self._others = int(first.max()) + 1, int(second.max()) + 1

    def weights(self, prior: float, luck: float) -> Exact:
        """(f,) given the luck's most likely values."""
        people = self._ones + self._others
        held = np.repeat([1 / prior, _FLAT, 1 / luck], [self._fixed - 1, 1, people])
        found = np.zeros(self._fixed + people)
        found[self._fixed - 1] = math.log(self._both.mean() / (1 - self._both.mean()))
        for _ in range(_STEPS):
            slope, curve = self._at(found)
            step = np.linalg.solve(curve + np.diag(held), slope - held * found)
            found += step
            if np.abs(step).max() < _CLOSE:
                return np.asarray(found[: self._fixed - 1])
        raise ConversionError("mutual interest: the fit did not converge")

    def _at(self, found: Exact) -> tuple[Exact, Exact]:
        fixed, ones = found[: self._fixed], found[self._fixed :][: self._ones]
        others = found[self._fixed + self._ones :]
        said = sigmoid(self._rows @ fixed + ones[self._first] + others[self._second])
        return self._gather(self._both - said), self._curve(said * (1 - said))

    def _gather(self, values: Exact) -> Exact:
        """Sums over the fixed columns, then over each person's rows."""
        per_one = np.bincount(self._first, values, self._ones)
        per_other = np.bincount(self._second, values, self._others)
        return np.concatenate([self._rows.T @ values, per_one, per_other])

    def _curve(self, spread: Exact) -> Exact:
        fixed, people = self._fixed, self._ones + self._others
        curve = np.zeros((fixed + people, fixed + people))
        for column in range(fixed):
            curve[column] = self._gather(self._rows[:, column] * spread)
        curve[fixed:, :fixed] = curve[:fixed, fixed:].T
        curve[range(fixed, fixed + people), range(fixed, fixed + people)] = self._gather(spread)[
            fixed:
        ]
        met = np.bincount(
            self._first * self._others + self._second, spread, self._ones * self._others
        ).reshape(self._ones, self._others)
        start = fixed + self._ones
        curve[fixed:start, start:], curve[start:, fixed:start] = met, met.T
        return curve


def _intercept(logits: Exact, both: Exact) -> float:
    """That makes the mean prediction the base rate: what is gained on a constant is then gained by
    the features alone."""
    low, high = -20.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if sigmoid(logits + middle).mean() < both.mean() else (low, middle)
        )
    return (low + high) / 2
