"""Once a second moderation says in each partition of `moderation.verdicts`: all until now is here.

Matching pairs nobody on verdicts that may be old, so it needs to know that silence means calm and
not an outbox that fills. The mark goes through the same outbox as the verdicts and therefore comes
behind all that were committed before it. One replica is enough; the holder of a lease row does it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from inyeon.moderation.adapters import events
from inyeon.moderation.adapters.tables import leases
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.port import Store, Transaction

EVERY_S = 1.0
LEASE = timedelta(seconds=3)  # two marks may fail; matching waits for 3 s more after a kill, of 10
NAME = "watermark"

_logger = logging.getLogger(__name__)


class Watermark:
    """The loop of one replica."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner

    async def run(self) -> None:
        """Marks until cancelled. A store that is away is no mark, which is the truth."""
        while True:
            try:
                await self.once()
            except Unavailable as error:
                _logger.info("no watermark: %s", error.reason)
            await self._clock.sleep(EVERY_S)

    async def once(self) -> bool:
        """Marks every partition; False where another replica does it."""
        committed_at = self._clock.now()  # before the transaction: what it sees is committed by now
        async with self._store.transaction() as tx:
            if not await self._hold(tx, committed_at):
                return False
            version = await tx.next_version(NAME)
            for partition in range(events.verdict_partitions()):
                await tx.emit(events.watermark(partition, committed_at, version))
        return True

    async def _hold(self, tx: Transaction, now: datetime) -> bool:
        values = {"owner": self._owner, "expires_at": microseconds(now + LEASE)}
        taking = upsert(tx.connection, leases).values(name=NAME, **values)
        free = (leases.c.owner == self._owner) | (leases.c.expires_at <= microseconds(now))
        taken = await tx.connection.execute(
            taking.on_conflict_do_update(index_elements=["name"], set_=values, where=free)
        )
        return taken.rowcount > 0
