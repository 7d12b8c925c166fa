"""Interests as a direction in a named space."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.refusals import WishRefused

FIELD = "wish.interests"
MAX_DIMS = 2048
MAX_STEP = 127
MAX_LENGTH = 4_000
"""Whole numbers are exact in float32 up to 2**24 = 4,096 squared; rounding may lengthen a vector of
2,048 numbers by 0.5 * sqrt(2,048) = 23."""
SHORT_DIMS = 972
"""int8 vectors of so many numbers are never longer than sqrt(972 * 128**2) = 3,991."""


class Encoding(IntEnum):
    """How numbers lie in the bytes, as the contract's VectorEncoding says."""

    INT8 = 1
    INT8_SCALED = 2
    FLOAT16 = 3


@dataclass(frozen=True, slots=True)
class Space:
    """What a vector means. Only vectors of equal spaces are ever compared."""

    model: str
    version: str
    dims: int
    """1 to 2048."""
    encoding: Encoding
    scale: float
    """Value of one step for INT8; 0 otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Interests:
    """A unit vector in its space."""

    space: Space
    data: bytes
    """The vector as it came."""

    @property
    def steps(self) -> NDArray[np.int8]:
        """(dims,) int8: the direction in whole numbers, for INT8 as it came. Shorter than 4,096, so
        that sums of products are exact in float32 in any order."""
        if self.space.encoding is Encoding.FLOAT16:
            return _stepped(self.direction)
        steps = np.frombuffer(self.data, np.int8)[-self.space.dims :]
        return steps if self.space.dims <= SHORT_DIMS else _stepped(self.direction)

    @property
    def direction(self) -> NDArray[np.float32]:
        """(dims,) float32, length 1."""
        numbers = _numbers(self.space, self.data)
        return (numbers / np.linalg.norm(numbers)).astype(np.float32)


def read_interests(space: Space, data: bytes) -> Interests:
    """Reads a vector and keeps its direction.

    Raises WishRefused on `wish.interests` with VECTOR_DIMS, VECTOR_LENGTH, VECTOR_SCALE,
    VECTOR_NOT_FINITE or VECTOR_ZERO.
    """
    if not 1 <= space.dims <= MAX_DIMS:
        raise WishRefused(f"{FIELD}.space.dims", "VECTOR_DIMS", f"{space.dims} is not 1 to 2048")
    _check_scale(space)
    _check_direction(_numbers(space, data))
    return Interests(space, data)


def _check_scale(space: Space) -> None:
    steps = space.encoding is Encoding.INT8
    if not (0 < space.scale < np.inf if steps else space.scale == 0):
        raise WishRefused(
            f"{FIELD}.space.scale",
            "VECTOR_SCALE",
            f"{space.scale} does not fit {space.encoding.name}",
        )


def _numbers(space: Space, data: bytes) -> NDArray[np.float64]:
    head = 4 if space.encoding is Encoding.INT8_SCALED else 0
    width = 2 if space.encoding is Encoding.FLOAT16 else 1
    expected = head + space.dims * width
    if len(data) != expected:
        raise WishRefused(
            f"{FIELD}.data", "VECTOR_LENGTH", f"{len(data)} bytes where the space says {expected}"
        )
    if head:
        _check_stored_scale(float(np.frombuffer(data, "<f4", count=1)[0]))
    # The step's value stretches every number alike, so the direction does not need it.
    return np.frombuffer(data, "<f2" if width == 2 else "i1", offset=head).astype(np.float64)


def _check_stored_scale(scale: float) -> None:
    if not 0 < scale < np.inf:
        raise WishRefused(f"{FIELD}.data", "VECTOR_SCALE", f"the scale {scale} is not positive")


def _stepped(direction: NDArray[np.float32]) -> NDArray[np.int8]:
    largest = float(np.abs(direction).max())
    step = max(largest / MAX_STEP, 1 / MAX_LENGTH)
    steps: NDArray[np.int8] = np.rint(direction / step).astype(np.int8)
    return steps


def _check_direction(numbers: NDArray[np.float64]) -> None:
    if not np.isfinite(numbers).all():
        raise WishRefused(f"{FIELD}.data", "VECTOR_NOT_FINITE", "a number is NaN or infinite")
    if not numbers.any():
        raise WishRefused(f"{FIELD}.data", "VECTOR_ZERO", "all numbers are zero: no direction")
