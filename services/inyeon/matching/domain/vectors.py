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
        self.steps = np.zeros((FIRST_ROWS, dims), np.int8)
        self.inverse = np.zeros(FIRST_ROWS, np.float32)
        self.free = list(range(FIRST_ROWS))

    def put(self, steps: NDArray[np.int8]) -> int:
        if not self.free:
            self._grow()
        slot = self.free.pop()
        self.steps[slot] = steps
        whole = steps.astype(np.int64)
        self.inverse[slot] = 1 / np.sqrt(whole @ whole)
        return slot

    @property
    def empty(self) -> bool:
        return len(self.free) == len(self.steps)

    def _grow(self) -> None:
        size = len(self.steps)
        self.steps = np.concatenate([self.steps, np.zeros_like(self.steps)])
        self.inverse = np.concatenate([self.inverse, np.zeros_like(self.inverse)])
        self.free = list(range(size, 2 * size))


class VectorShelves:
    """Where the vectors of waiting tickets lie. A place is (number of the space, row)."""

    def __init__(self) -> None:
        self._numbers: dict[Space, int] = {}
        self._shelves: dict[int, _Shelf] = {}
        self._next = 0

    def __len__(self) -> int:
        """Different spaces."""
        return len(self._numbers)

    def knows(self, space: Space) -> bool:
        """A vector of this space waits."""
        return space in self._numbers

    def put(self, interests: Interests) -> tuple[int, int]:
        """Keeps a vector and returns its place."""
        number = self._numbers.get(interests.space)
        if number is None:
            number = self._open(interests.space)
        return number, self._shelves[number].put(interests.steps)

    def drop(self, space: Space, slot: int) -> None:
        """Frees a place; the last vector of a space takes its matrix with it."""
        shelf = self._shelves[self._numbers[space]]
        shelf.free.append(slot)
        if shelf.empty:
            del self._shelves[self._numbers.pop(space)]

    def gather(
        self, number: int, slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """(len(slots), dims) whole numbers and (len(slots),) 1 / length of each; copies."""
        shelf = self._shelves[number]
        return shelf.steps[slots], shelf.inverse[slots]

    def _open(self, space: Space) -> int:
        number = self._next
        self._next += 1
        self._numbers[space] = number
        self._shelves[number] = _Shelf(space.dims)
        return number
