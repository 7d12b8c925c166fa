"""Products of vectors of whole numbers, exact in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.compiling import any_order


@any_order
def product(one: NDArray[np.float32], other: NDArray[np.float32]) -> np.float32:
    """Product of two vectors of whole numbers, each shorter than 4,096."""
    total = np.float32(0)
    for number in range(one.shape[0]):
        total += one[number] * other[number]
    return total
