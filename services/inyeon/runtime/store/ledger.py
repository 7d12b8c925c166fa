"""What a consumer has already done, kept in the same transaction as the effect itself.

State: the highest version of a key wins, lower ones are ignored. Plain events: ids are kept until
nobody can redeliver them. Dead keys: refused since a poison record, until it is replayed.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.log.port import Record
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.tables import applied_versions, consumed_events, dead_keys

PRUNE_AT_ONCE = 5_000  # rows of one transaction: about 20 ms of the write lock


class Admission(Enum):
    """What to do with a record."""

    APPLY = "not seen before"
    SEEN = "its effect, or a newer one, is in the database"
    REFUSED = "its key is dead"


class Ledger:
    """The ledger of one consumer group."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    async def admit_event(
        self, connection: AsyncConnection, record: Record, event_id: str, expires: datetime
    ) -> Admission:
        """Notes a plain event; APPLY the first time."""
        if await self._is_dead(connection, record):
            return Admission.REFUSED
        values = {
            "consumer": self._consumer,
            "event_id": event_id,
            "expires_us": microseconds(expires),
        }
        insert = upsert(connection, consumed_events).values(values).on_conflict_do_nothing()
        result = await connection.execute(insert)
        return Admission.APPLY if result.rowcount else Admission.SEEN

    async def admit_version(
        self, connection: AsyncConnection, record: Record, version: int
    ) -> Admission:
        """Notes a state; APPLY when its version is the highest so far."""
        if await self._is_dead(connection, record):
            return Admission.REFUSED
        table = applied_versions
        insert = upsert(connection, table).values(
            consumer=self._consumer, topic=record.topic, key=record.key, version=version
        )
        statement = insert.on_conflict_do_update(
            index_elements=[table.c.consumer, table.c.topic, table.c.key],
            set_={"version": version},
            where=table.c.version < version,
        )
        result = await connection.execute(statement)
        return Admission.APPLY if result.rowcount else Admission.SEEN

    async def refuse(
        self, connection: AsyncConnection, record: Record, reason: str, now: datetime
    ) -> None:
        """From now on the record's key is dead. The first reason stays."""
        insert = upsert(connection, dead_keys).values(
            consumer=self._consumer,
            topic=record.topic,
            key=record.key,
            reason=reason,
            partition=record.partition,
            offset=record.offset,
            since_us=microseconds(now),
        )
        await connection.execute(insert.on_conflict_do_nothing())

    async def release(self, connection: AsyncConnection, topic: str, key: str) -> bool:
        """The key is taken again; called when its dead letters are replayed. False where it was not
        dead."""
        table = dead_keys
        result = await connection.execute(
            delete(table).where(
                table.c.consumer == self._consumer, table.c.topic == topic, table.c.key == key
            )
        )
        return result.rowcount > 0

    async def prune(self, connection: AsyncConnection, now: datetime) -> int:
        """Forgets at most 5,000 events that nobody can redeliver any more; returns how many."""
        table = consumed_events
        old = select(table.c.event_id).where(
            table.c.consumer == self._consumer, table.c.expires_us < microseconds(now)
        )
        result = await connection.execute(
            delete(table).where(
                table.c.consumer == self._consumer, table.c.event_id.in_(old.limit(PRUNE_AT_ONCE))
            )
        )
        return int(result.rowcount)

    async def _is_dead(self, connection: AsyncConnection, record: Record) -> bool:
        table = dead_keys
        statement = select(table.c.reason).where(
            table.c.consumer == self._consumer,
            table.c.topic == record.topic,
            table.c.key == record.key,
        )
        return (await connection.execute(statement)).first() is not None
