"""Operators pause, resume and drain pools, and stop all pairing. Kept in the store, and looked at
again in every commit: a pool whose store is away pairs nobody anyway.
"""

from __future__ import annotations

import structlog

from inyeon.matching.app.floor import Floor
from inyeon.matching.app.ports import Book
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import NotAllowed, NotFound

OPERATOR = "operator"

_log = structlog.get_logger(__name__)


class Switching:
    """What operators may say of pools."""

    def __init__(self, book: Book, floor: Floor, clock: Clock) -> None:
        self._book, self._floor, self._clock = book, floor, clock

    async def modes(self, roles: frozenset[str]) -> dict[str, PoolMode]:
        """In force for each pool, and for ALL_POOLS. Raises NotAllowed, StoreUnavailable."""
        require_operator(roles)
        return await self._book.modes(list(self._floor.desks))

    async def say(self, roles: frozenset[str], operator: str, pool: str, mode: PoolMode) -> None:
        """Durable when it returns; in force from the next commit on, everywhere.

        Raises NotAllowed (ROLE_MISSING), NotFound (POOL_UNKNOWN), StoreUnavailable.
        """
        require_operator(roles)
        if pool != ALL_POOLS and pool not in self._floor.desks:
            raise NotFound(f"there is no pool {pool!r} here", reason="POOL_UNKNOWN", field="pool")
        await self._book.record_mode(pool, mode, operator, self._clock.now())
        _log.warning("audit.pool_mode", pool=pool, mode=mode.name, operator=operator)


def require_operator(roles: frozenset[str]) -> None:
    """Raises NotAllowed (ROLE_MISSING)."""
    if OPERATOR not in roles:
        raise NotAllowed("only operators see pools and switch them", reason="ROLE_MISSING")
