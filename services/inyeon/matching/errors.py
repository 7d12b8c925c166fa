"""Errors of matching, mapped to gRPC codes by the ground.

InyeonError
├── InvalidRequest        a wish or a verb that cannot be taken; names the field
├── StatementRefused      a safety pass that is forged or somebody else's
├── Conflict
│   ├── PoolLost          another replica owns the pool now
│   └── SeatLost          another replica has this one's seat now
└── Unavailable
    └── PoolPaused        an operator paused the pool, or all pairing
"""

from __future__ import annotations

from inyeon.runtime.errors import Conflict, Unavailable


class PoolLost(Conflict):
    """Another replica took the pool over; this one must not pair."""

    reason = "POOL_LOST"


class SeatLost(Conflict):
    """This replica was away for so long that another took its seat; it must not pair before it has
    another one."""

    reason = "SEAT_LOST"


class PoolPaused(Unavailable):
    """An operator paused the pool, or all pairing."""

    reason = "POOL_PAUSED"
