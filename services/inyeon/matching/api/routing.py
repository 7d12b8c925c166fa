"""From the stream to the desk of the pool's owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from inyeon.matching.api.callers import Caller, Closed, Verb
from inyeon.matching.api.verbs import act
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.floor import Floor
from inyeon.runtime.errors import Unavailable

REBUILD_TIMEOUT_S = 5.0
"""A start rebuilds the pool from 90 s of tickets in far less; a device tries again after it."""


class Routing:
    """Knows the pool of a caller, and who owns it."""

    def __init__(self, floor: Floor, pool_of: Callable[[str], str]) -> None:
        """`pool_of`: the pool of a country."""
        self._floor = floor
        self._pool_of = pool_of

    async def act(self, caller: Caller, verb: Verb) -> None:
        """Does what the caller says. Raises Unavailable where another replica owns the pool
        (POOL_ELSEWHERE) and while it is being rebuilt (REBUILDING), and what `verbs.act` raises."""
        # Whoever leaves does not wait: a stream that ends holds up the end of its replica.
        wait_s = 0.0 if isinstance(verb, Closed) else REBUILD_TIMEOUT_S
        await act(await self._desk(self.pool(caller), wait_s), caller, verb)

    def pool(self, caller: Caller) -> str:
        """Where the caller waits."""
        return self._pool_of(caller.claims.country)

    async def _desk(self, pool: str, wait_s: float) -> Desk:
        desk = self._floor.desks.get(pool)
        if desk is None or desk.hall.elsewhere:
            raise Unavailable("another replica owns the pool", reason="POOL_ELSEWHERE")
        try:
            async with asyncio.timeout(wait_s):
                await desk.hall.rebuilt.wait()
        except TimeoutError:
            raise Unavailable("the pool is being rebuilt", reason="REBUILDING") from None
        return desk
