"""Fits the text-safety head: softmax regression on soft labels, calibrated out of fold.

Everything is float64 and full-batch: the same data give the same numbers but for their last digits,
which the processor's order of sums decides. SciPy's L-BFGS is a requirement of development only:
whoever runs the models never needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.text_safety import CLASSES, HATE, Exact, softmax

Ints = NDArray[np.int64]

PENALTY = 1e-4  # of 1e-5, 1e-4 and 1e-3 the best macro-F1 out of fold; the curve is flat
BALANCE = (
    0.5  # weight of a row: (1 / rows of its class) ** BALANCE; 0 forgets hate, 1 sees it everywhere
)
_STEPS = 500
# Rows of one product. OpenBLAS splits larger ones over threads, waits for each (20 times the work
# itself on a busy machine), and then sums in an order of its own.
_ROWS = 128
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Linear:
    """logits = rows @ weights.T + bias; weights (3, dims), bias (3,)."""

    weights: Exact
    bias: Exact

    def logits(self, rows: Exact) -> Exact:
        """(n, 3)."""
        return np.asarray(rows @ self.weights.T + self.bias)


def fit(rows: Exact, targets: Exact, labels: Ints, penalty: float = PENALTY) -> Linear:
    """Minimises the weighted cross-entropy of `targets` (n, 3) plus penalty / 2 * |weights|^2.

    Raises ConversionError where a class has no row at all."""
    counts = np.bincount(labels, minlength=len(CLASSES))
    if not counts.all():
        raise ConversionError(f"text safety: classes {counts.tolist()}, each needs a row")
    shares = (1.0 / counts[labels]) ** BALANCE
    return _minimise(rows, targets, shares / shares.sum(), penalty)


def calibrated(model: Linear, scale: float, shift: Exact) -> Linear:
    """The model whose logits are scale * logits + shift."""
    return Linear(model.weights * scale, model.bias * scale + shift)


def calibration(logits: Exact, targets: Exact) -> tuple[float, Exact]:
    """Scale (one number above 0) and shift (3,) that make probabilities of logits (n, 3) honest:
    least cross-entropy of `targets`, all rows alike."""
    from scipy.optimize import minimize

    def loss(values: Exact) -> float:
        scaled = logits * np.exp(values[0]) + np.append(values[1:], 0.0)
        return float(-(targets * np.log(softmax(scaled) + _TINY)).sum() / len(logits))

    found = minimize(loss, np.zeros(len(CLASSES)), method="L-BFGS-B").x
    return float(np.exp(found[0])), np.append(found[1:], 0.0)


def decide(probabilities: Exact, hate_from: float) -> Ints:
    """Class of each row: hate where its probability reaches `hate_from`, else the likelier rest."""
    others = probabilities.copy()
    others[:, HATE] = -1.0
    return np.where(probabilities[:, HATE] >= hate_from, HATE, others.argmax(axis=1))


def _minimise(rows: Exact, targets: Exact, shares: Exact, penalty: float) -> Linear:
    from scipy.optimize import minimize

    classes, dims = targets.shape[1], rows.shape[1]
    blocks = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]

    def loss(values: Exact) -> tuple[float, Exact]:
        weights, bias = values[:-classes].reshape(classes, dims), values[-classes:]
        found = softmax(np.concatenate([rows[block] @ weights.T for block in blocks]) + bias)
        error = (found - targets) * shares[:, None]
        cost = -float((shares[:, None] * targets * np.log(found + _TINY)).sum())
        slope = sum((error[block].T @ rows[block] for block in blocks), penalty * weights)
        cost += 0.5 * penalty * float((weights**2).sum())
        return cost, np.concatenate([slope.ravel(), error.sum(axis=0)])

    start = np.zeros(classes * dims + classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return Linear(found[:-classes].reshape(classes, dims), found[-classes:])
