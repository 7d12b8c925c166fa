"""What a wave looks at: the people who may be proposed right now, frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.tickets import Ticket


@dataclass(frozen=True, slots=True, eq=False)
class SpaceGroup:
    """People whose interests may be compared."""

    places: NDArray[np.int64]
    """(m,) positions in the snapshot, rising."""
    matrix: NDArray[np.float32]
    """(m, dims) unit vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """n people in order of arrival. Every gate of one person is open for all of them."""

    tickets: tuple[Ticket, ...]
    rows: NDArray[np.void]
    """(n,) of columns.ROW."""
    waited_s: NDArray[np.float64]
    """(n,) seconds, pauses not counted, credit included."""
    spaces: tuple[SpaceGroup, ...]
    barred: NDArray[np.int64]
    """(k, 2) positions, the lower first, of people who must not meet: blocked, or met within the
    horizon.
    """

    def __len__(self) -> int:
        return len(self.tickets)
