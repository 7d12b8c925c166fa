"""Interest vectors of a pool, one matrix a space, so that vectors of different spaces cannot be
multiplied by accident.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Interests, Space

FIRST_ROWS = 16


class _Shelf:
    """Vectors of one space; rows are used again."""

    def __init__(self, dims: int) -> None:
        self.matrix = np.zeros((FIRST_ROWS, dims), np.float32)
        self.free = list(range(FIRST_ROWS))

    def put(self, direction: NDArray[np.float32]) -> int:
        if not self.free:
            self._grow()
        slot = self.free.pop()
        self.matrix[slot] = direction
        return slot

    @property
    def empty(self) -> bool:
        return len(self.free) == len(self.matrix)

    def _grow(self) -> None:
        size = len(self.matrix)
        self.matrix = np.concatenate([self.matrix, np.zeros_like(self.matrix)])
        self.free = list(range(size, 2 * size))


class VectorShelves:
    """Where the vectors of waiting tickets lie. A place is (number of the space, row)."""

    def __init__(self) -> None:
        self._numbers: dict[Space, int] = {}
        self._shelves: dict[int, _Shelf] = {}
        self._next = 0

    def put(self, interests: Interests) -> tuple[int, int]:
        """Keeps a vector and returns its place."""
        number = self._numbers.get(interests.space)
        if number is None:
            number = self._open(interests.space)
        return number, self._shelves[number].put(interests.direction)

    def drop(self, space: Space, slot: int) -> None:
        """Frees a place; the last vector of a space takes its matrix with it."""
        shelf = self._shelves[self._numbers[space]]
        shelf.free.append(slot)
        if shelf.empty:
            del self._shelves[self._numbers.pop(space)]

    def gather(self, number: int, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(slots), dims) float32, a copy."""
        taken: NDArray[np.float32] = self._shelves[number].matrix[slots]
        return taken

    def _open(self, space: Space) -> int:
        number = self._next
        self._next += 1
        self._numbers[space] = number
        self._shelves[number] = _Shelf(space.dims)
        return number
