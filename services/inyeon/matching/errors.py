"""Errors of matching, mapped to gRPC codes by the ground.

InyeonError
├── InvalidRequest        a wish or a verb that cannot be taken; names the field
├── StatementRefused      a safety pass that is forged or somebody else's
└── Conflict
    └── PoolLost          another replica owns the pool now
"""

from __future__ import annotations

from inyeon.runtime.errors import Conflict


class PoolLost(Conflict):
    """Another replica took the pool over; this one must not pair."""

    reason = "POOL_LOST"
