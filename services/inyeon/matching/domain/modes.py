"""What an operator has said of a pool."""

from __future__ import annotations

from enum import IntEnum

ALL_POOLS = "*"
"""Name under which the kill switch is kept: it holds for every pool."""


class PoolMode(IntEnum):
    """With the numbers of the contract's PoolMode; the higher one wins over the lower."""

    OPEN = 1
    DRAINING = 2
    """Who waits is paired; nobody new comes in."""
    PAUSED = 3
    """Nobody is paired; people may come and wait, and are told so."""


def in_force(own: PoolMode, everywhere: PoolMode) -> PoolMode:
    """The stricter of what was said of the pool and of all pools."""
    return max(own, everywhere)
