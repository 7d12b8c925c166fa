"""What a wave looks at: the people who may be proposed right now, frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.columns import ROW
from inyeon.matching.domain.recents import Recent
from inyeon.matching.domain.tickets import Ticket


@dataclass(frozen=True, slots=True, eq=False)
class SpaceGroup:
    """People whose interests may be compared."""

    places: NDArray[np.int64]
    """(m,) positions in the snapshot, rising."""
    steps: NDArray[np.int8]
    """(m, dims) whole numbers along each person's direction."""
    inverse: NDArray[np.float32]
    """(m,) 1 / length of these."""


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
    recents: tuple[Recent | None, ...] = ()
    """(n,) what is known of each person's recent conversations; empty: of nobody."""

    def __len__(self) -> int:
        return len(self.tickets)

    @classmethod
    def empty(cls) -> Snapshot:
        """Nobody."""
        return cls((), np.zeros(0, ROW), np.zeros(0), (), np.zeros((0, 2), np.int64))

    def take(self, chosen: NDArray[np.int64]) -> Snapshot:
        """Some of them; `chosen` (m,) rising positions."""
        place = np.full(len(self), -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        barred = place[self.barred]
        return Snapshot(
            tuple(self.tickets[number] for number in chosen.tolist()),
            self.rows[chosen],
            self.waited_s[chosen],
            tuple(
                SpaceGroup(place[group.places[here]], group.steps[here], group.inverse[here])
                for group in self.spaces
                if (here := place[group.places] >= 0).any()
            ),
            barred[(barred >= 0).all(axis=1)],
            tuple(self.recents[number] for number in chosen.tolist()) if self.recents else (),
        )
