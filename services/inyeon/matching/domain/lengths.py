"""How long two people will talk: a small calibrated model of outcomes, for the score's term LENGTH.

Fractional logit (Papke and Wooldridge 1996): share = min(length, CAP_S) / CAP_S is a number in
[0, 1], its mean is sigmoid(intercept + features @ weights), fitted by the Bernoulli likelihood. The
mean prediction is the mean share; features enter standardised, with a ridge that says beforehand
that all of them together move the logit by STRENGTH.

No feature says who people are: only which interests and languages they declared, and how they
talked lately.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.refusals import Refused

Exact = NDArray[np.float64]

FEATURES = ("similarity", "language", "translated", "session", "usual", "usual_apart")
"""Cosine above 0; best common level / 5; 1 where translated; term SESSION; mean and distance of
both people's `usual_log` (session_vectors.py)."""
CAP_S = 300.0
"""After five minutes people have met; more does not make a pairing better."""
COUNTED = frozenset({EndReason.LEFT, EndReason.REPORTED})
"""Ends that say something about the two: a lost connection, a failed call and a sanction do not."""
STRENGTH = 1.0
FAR = 5.0
"""Deviations from the mean: one strange number must not decide alone."""
LEAST_TALKS = 200
"""Some 30 for each number that is learned."""
_STEPS = 30  # Newton doubles its digits: some 8 are enough from the base rate


class LengthsRefused(Refused):
    """Outcomes or numbers that cannot be taken. `field` names the part, `reason` is a code."""


@dataclass(frozen=True, slots=True)
class LengthModel:
    """What was learned; tuples run along FEATURES. Raises LengthsRefused NUMBERS."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        for name in ("means", "scales", "weights"):
            values = getattr(self, name)
            if len(values) != len(FEATURES) or not all(map(_is_number, values)):
                raise LengthsRefused(name, "NUMBERS", f"{len(FEATURES)} finite numbers are wanted")
        if not _is_number(self.intercept) or min(self.scales) <= 0.0:
            raise LengthsRefused("intercept or scales", "NUMBERS", "not finite, or not above 0")

    @property
    def version(self) -> str:
        """A digest of the numbers."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]

    def share(self, rows: Exact) -> Exact:
        """(n,) expected shares of CAP_S in [0, 1], from rows (n, 6) in the order of FEATURES.

        What is not finite counts as usual, and nothing as further off than FAR. Raises
        LengthsRefused ROWS for another shape."""
        _check_rows(rows)
        standard = (rows - np.asarray(self.means)) / np.asarray(self.scales)
        known = np.clip(np.where(np.isfinite(standard), standard, 0.0), -FAR, FAR)
        return _sigmoid(known @ np.asarray(self.weights) + self.intercept)

    @classmethod
    def of(cls, document: Mapping[str, object]) -> LengthModel:
        """From what `asdict` made and JSON kept. Raises LengthsRefused NUMBERS naming the field."""
        means, scales, weights = (_column(document, n) for n in ("means", "scales", "weights"))
        (intercept,) = _column({"intercept": [document.get("intercept")]}, "intercept")
        return cls(means, scales, weights, intercept)


def shares(length_s: Exact, ended: NDArray[np.int64]) -> tuple[Exact, NDArray[np.bool_]]:
    """(n,) shares of CAP_S, and which of them count, of lengths in seconds and EndReason numbers.

    A reported conversation counts as none at all, however long. Lengths that are negative or not
    finite do not count."""
    counted = np.isin(ended, [int(reason) for reason in COUNTED])
    known = np.isfinite(length_s) & (length_s >= 0.0)
    reached = np.clip(np.where(known, length_s, 0.0), 0.0, CAP_S) / CAP_S
    return np.where(ended == EndReason.REPORTED, 0.0, reached), counted & known


def fit(rows: Exact, share: Exact) -> LengthModel:
    """From rows (n, 6) of finished conversations and their shares (n,).

    Raises LengthsRefused: ROWS (shape or not finite), SHARES (outside [0, 1], or all alike) or
    TOO_FEW."""
    _check_rows(rows)
    if not np.isfinite(rows).all():
        raise LengthsRefused("rows", "ROWS", "a feature is NaN or infinite")
    if share.shape != (len(rows),) or not ((share >= 0.0) & (share <= 1.0)).all():
        raise LengthsRefused("share", "SHARES", "one number in [0, 1] a row is wanted")
    if len(rows) < LEAST_TALKS:
        raise LengthsRefused("rows", "TOO_FEW", f"{len(rows)} conversations, not {LEAST_TALKS}")
    if not 0.0 < share.mean() < 1.0:
        raise LengthsRefused("share", "SHARES", "all 0 or all 1: nothing to learn")
    scales = rows.std(axis=0)
    scales = np.where(scales > 0.0, scales, 1.0)
    found = _newton((rows - rows.mean(axis=0)) / scales, share)
    means = tuple(rows.mean(axis=0).tolist())
    return LengthModel(means, tuple(scales.tolist()), tuple(found[:-1].tolist()), float(found[-1]))


def calibration(said: Exact, share: Exact) -> tuple[float, float]:
    """(slope, gap): least-squares slope of what happened on what was said, 1 is honest, and the
    mean of what was said minus what happened, 0 is honest. Slope 0 where all was said alike."""
    spread = said - said.mean()
    slope = float(spread @ share / (spread @ spread)) if float(spread @ spread) > 0 else 0.0
    return slope, float((said - share).mean())


def _newton(standard: Exact, share: Exact) -> Exact:
    """(features + 1,) with the intercept last, which no ridge holds."""
    wide = np.column_stack([standard, np.ones(len(standard))])
    held = np.append(np.full(standard.shape[1], standard.shape[1] / STRENGTH**2), 0.0)
    found = np.zeros(wide.shape[1])
    found[-1] = math.log(share.mean() / (1.0 - share.mean()))
    for _ in range(_STEPS):
        said = _sigmoid(wide @ found)
        slope = wide.T @ (share - said) - held * found
        curve = wide.T @ (wide * (said * (1.0 - said))[:, None]) + np.diag(held + 1e-12)
        found = found + np.linalg.solve(curve, slope)
    return found


def _check_rows(rows: Exact) -> None:
    if rows.ndim != 2 or rows.shape[1] != len(FEATURES):
        raise LengthsRefused("rows", "ROWS", f"{rows.shape} is not (n, {len(FEATURES)})")


def _column(document: Mapping[str, object], name: str) -> tuple[float, ...]:
    values = document.get(name)
    if not isinstance(values, list | tuple) or not all(map(_is_number, values)):
        raise LengthsRefused(name, "NUMBERS", "finite numbers are wanted")
    return tuple(float(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _sigmoid(logits: Exact) -> Exact:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))
