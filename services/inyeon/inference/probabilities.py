"""What counts as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.errors import ModelFailed

SUM_BOUND = 1e-3  # a float32 softmax of five classes is within 1e-6


def check_probabilities(values: NDArray[Any], what: str) -> None:
    """Raises ModelFailed unless each row is finite, in [0, 1] and sums to 1."""
    if not np.isfinite(values).all():
        raise ModelFailed(f"{what} holds a number that is not finite")
    apart = np.abs(values.astype(np.float64).sum(axis=-1) - 1.0)
    if (values < 0.0).any() or (apart > SUM_BOUND).any():
        raise ModelFailed(f"{what} is no distribution")
