"""Brings records that cannot be applied to the dead letters and their keys into the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.poison import PoisonRecord, dead_letter
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.replays import Dead
from inyeon.runtime.store.ledger import Ledger, TopicKey
from inyeon.runtime.store.port import Store


class Diverter:
    """Dead letters and dead keys of one consumer."""

    def __init__(self, log: Log, group: str, store: Store | None, clock: Clock) -> None:
        self.dead: dict[TopicKey, Dead] = {}
        """Without a store: the dead keys, for as long as the process lives."""
        self._log = log
        self._group = group
        self._store = store
        self._clock = clock
        self._ledger = Ledger(group)

    async def publish(self, records: Sequence[Record], poison: PoisonRecord) -> None:
        """Dead letters first: a crash before `refuse` repeats them and loses nothing. Raises
        LogUnavailable."""
        await self._log.publish([dead_letter(record, self._group, poison) for record in records])

    async def refuse(self, records: Sequence[Record], reason: str) -> None:
        """The keys are dead from now on. Also for records of keys that were: what may release a
        key must know the last letter. Raises StoreUnavailable."""
        if self._store is None:
            self._remember(records)
            return
        now = self._clock.now()
        async with self._store.transaction() as tx:
            for record in sorted(records, key=lambda r: (r.topic, r.key, r.offset)):
                await self._ledger.refuse(tx.connection, record, reason, now)

    def _remember(self, records: Sequence[Record]) -> None:
        for record in records:
            key, place = (record.topic, record.key), (record.partition, record.offset)
            known = self.dead.get(key)
            self.dead[key] = known.and_also(*place) if known else Dead(*place)
