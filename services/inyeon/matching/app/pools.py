"""State of the pool for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.floor import Floor


@dataclass(frozen=True, slots=True)
class PoolState:
    """Numbers only."""

    pool: str
    epoch: int
    waiting: int
    """Paused ones included."""
    paused: int
    live_matches: int
    longest_wait_s: float
    waves: int
    """Waves with a pair since this replica owns the pool."""
    service_away: bool
    last_pass_at: datetime | None


def pool_states(floor: Floor) -> list[PoolState]:
    """Of every pool that this replica owns or stands by for, the owned ones first."""
    states = [pool_state(desk) for desk in floor.desks.values()]
    return sorted(states, key=lambda state: state.epoch == 0)


def pool_state(desk: Desk) -> PoolState:
    """As of now."""
    hall = desk.hall
    return PoolState(
        desk.pool,
        hall.epoch,
        len(hall.pool),
        hall.pool.paused_count(),
        len(hall.meetings),
        hall.pool.longest_wait_s(desk.clock.monotonic()),
        hall.waves,
        hall.service_away,
        hall.last_pass_at,
    )
