"""Who should own how many pools: nobody more than a fair share, and nothing moves without need."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

PATIENCE_S = 3.0
"""Whoever has its share lets the others go first for so long: they look once a second."""


def fair_share(pools: int, replicas: int) -> int:
    """Pools that one of so many replicas may keep: the average, rounded up. A replica that knows of
    nobody, itself included, is alone."""
    return -(-pools // max(replicas, 1))


def patience_s(owned: int, share: int) -> float:
    """How long a pool must have been free before a replica takes it that owns so many: at once
    below its share. Above it somebody must all the same, should nobody else come."""
    return 0.0 if owned < share else PATIENCE_S


def to_hand_over(owned: Collection[str], share: int, replica: str) -> str | None:
    """The pool that a replica with more than its share gives up next, None where it has no more.

    Somebody else has less than a share then, as all pools together are no more than all shares.
    """
    if len(owned) <= share:
        return None
    return min(owned, key=lambda pool: (_weight(pool, replica), pool))


def _weight(pool: str, replica: str) -> bytes:
    """Replicas differ in what they give up first (rendezvous hashing: Thaler and Ravishankar,
    "Using name-based mappings to increase hit rates", 1998)."""
    return hashlib.sha256(f"{replica}\0{pool}".encode()).digest()
