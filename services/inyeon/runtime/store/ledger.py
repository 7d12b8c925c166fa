"""What a consumer has already done, kept in the same transaction as the effect itself.

State: the highest version of a key wins, lower ones are ignored. Plain events: ids are kept until
nobody can redeliver them. Dead keys: refused since a poison record, until all of their dead letters
are replayed.

Everything is asked for a whole batch at once, in one statement each. Rows are taken in one order
(sorted), so that two members of a group that hold the same records after a rebalance wait for each
other and do not lock each other out; what is already there decides who was first. The lists go
through JSON, which both engines read, as one parameter of a statement that never changes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.log.port import Record
from inyeon.runtime.log.replays import Dead
from inyeon.runtime.store.dialects import is_postgresql, microseconds, upsert
from inyeon.runtime.store.tables import consumed_events, dead_keys

PRUNE_AT_ONCE = 5_000  # rows of one transaction: about 20 ms of the write lock

TopicKey = tuple[str, str]

_ROWS = {
    "sqlite": "SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b,"
    " json_extract(value, '$[2]') AS c FROM json_each(:rows)",
    "postgresql": "SELECT value->>0 AS a, value->>1 AS b, CAST(value->>2 AS bigint) AS c"
    " FROM json_array_elements(CAST(:rows AS json))",
}
_DEAD = (
    'SELECT d.topic, d.key, d.partition, d."offset" FROM dead_keys d JOIN ({rows}) r'
    " ON d.topic = r.a AND d.key = r.b WHERE d.consumer = :consumer"
)
_NOTE = (
    "INSERT INTO consumed_events (consumer, event_id, expires_us)"
    " SELECT :consumer, r.a, r.c FROM ({rows}) r WHERE true ORDER BY r.a"
    " ON CONFLICT DO NOTHING RETURNING event_id"
)
# Of PostgreSQL, for batches of new records: the keys in a and b, the ids beside them in i and e.
_ADMIT = text(
    "WITH r AS (SELECT value->>0 AS a, value->>1 AS b, value->>2 AS i,"
    " CAST(value->>3 AS bigint) AS e FROM json_array_elements(CAST(:rows AS json))),"
    ' d AS (SELECT d.topic, d.key, d.partition, d."offset" FROM dead_keys d JOIN r'
    " ON d.topic = r.a AND d.key = r.b WHERE d.consumer = :consumer),"
    " n AS (INSERT INTO consumed_events (consumer, event_id, expires_us)"
    " SELECT :consumer, r.i, r.e FROM r WHERE NOT EXISTS (SELECT FROM d) ORDER BY r.i"
    " ON CONFLICT DO NOTHING RETURNING event_id)"
    ' SELECT topic, key, partition, "offset", NULL FROM d'
    " UNION ALL SELECT NULL, NULL, NULL, NULL, event_id FROM n"
)
# What is there is written over with itself: that locks the row and returns it.
_HOLD = (
    "INSERT INTO applied_versions (consumer, topic, key, version)"
    " SELECT :consumer, r.a, r.b, 0 FROM ({rows}) r WHERE true ORDER BY r.a, r.b"
    " ON CONFLICT (consumer, topic, key) DO UPDATE SET version = applied_versions.version"
    " RETURNING topic, key, version"
)
_RAISE = (
    "INSERT INTO applied_versions (consumer, topic, key, version)"
    " SELECT :consumer, r.a, r.b, r.c FROM ({rows}) r WHERE true ORDER BY r.a, r.b"
    " ON CONFLICT (consumer, topic, key) DO UPDATE SET version = excluded.version"
    " WHERE applied_versions.version < excluded.version"
)


class Ledger:
    """The ledger of one consumer group."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer

    async def dead_among(
        self, connection: AsyncConnection, keys: Collection[TopicKey]
    ) -> dict[TopicKey, Dead]:
        """Those of the keys that are refused."""
        stored = {(topic, storable(key)): key for topic, key in keys}
        rows = await self._execute(connection, _DEAD, [[t, k] for t, k in stored])
        return {(r[0], stored[r[0], r[1]]): Dead(r[2], r[3]) for r in rows}

    async def note_unless_dead(
        self,
        connection: AsyncConnection,
        events: Sequence[tuple[TopicKey, str, datetime]],
    ) -> tuple[dict[TopicKey, Dead], frozenset[str]]:
        """`dead_among` the keys of events and, where there is none, `note_events`, in one statement
        (PostgreSQL). Each event is its key, its id and until when it may come again."""
        stored = {(key[0], storable(key[1])): key for key, _, _ in events}
        rows = [[key[0], storable(key[1]), i, microseconds(at)] for key, i, at in events]
        values = {"consumer": self._consumer, "rows": json.dumps(rows)}
        answer = (await connection.execute(_ADMIT, values)).all()
        dead = {stored[r[0], r[1]]: Dead(r[2], r[3]) for r in answer if r[4] is None}
        return dead, frozenset(r[4] for r in answer if r[4] is not None)

    async def note_events(
        self, connection: AsyncConnection, expires: Mapping[str, datetime]
    ) -> frozenset[str]:
        """Notes events by id until a time; returns those that were not noted before."""
        new = [[event_id, None, microseconds(at)] for event_id, at in expires.items()]
        return frozenset(r[0] for r in await self._execute(connection, _NOTE, new))

    async def hold_versions(
        self, connection: AsyncConnection, keys: Collection[TopicKey]
    ) -> dict[TopicKey, int]:
        """Highest version applied of each key, 0 without any; nobody else moves them until the
        transaction ends."""
        rows = await self._execute(connection, _HOLD, [[t, k] for t, k in set(keys)])
        return {(r[0], r[1]): r[2] for r in rows}

    async def raise_versions(
        self, connection: AsyncConnection, versions: Mapping[TopicKey, int]
    ) -> None:
        """Notes that the effects of these versions are in; lower ones than the noted change
        nothing."""
        rows = [[topic, key, version] for (topic, key), version in versions.items()]
        await self._execute(connection, _RAISE, rows)

    async def refuse(
        self, connection: AsyncConnection, record: Record, reason: str, now: datetime
    ) -> None:
        """From now on the record's key is dead, until what was refused up to this record is
        replayed. The first reason stays."""
        table = dead_keys
        insert = upsert(connection, table).values(
            consumer=self._consumer,
            topic=record.topic,
            key=storable(record.key),
            reason=reason,
            partition=record.partition,
            offset=record.offset,
            since_us=microseconds(now),
        )
        later = (table.c.partition != record.partition) | (table.c.offset < record.offset)
        place = {"partition": record.partition, "offset": record.offset}
        index = [table.c.consumer, table.c.topic, table.c.key]
        await connection.execute(
            insert.on_conflict_do_update(index_elements=index, set_=place, where=later)
        )

    async def release(self, connection: AsyncConnection, topic: str, key: str) -> bool:
        """The key is taken again; called with the effect of its last dead letter. False where it
        was not dead."""
        table = dead_keys
        result = await connection.execute(
            delete(table).where(
                table.c.consumer == self._consumer,
                table.c.topic == topic,
                table.c.key == storable(key),
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

    async def _execute(
        self, connection: AsyncConnection, statement: str, rows: Sequence[Sequence[object]]
    ) -> list[tuple[Any, ...]]:
        """Texts, whole numbers and None of the rows become the columns a, b and c."""
        if not rows:
            return []
        engine = "postgresql" if is_postgresql(connection) else "sqlite"
        values = {"consumer": self._consumer, "rows": json.dumps(rows)}
        result = await connection.execute(text(statement.format(rows=_ROWS[engine])), values)
        return [tuple(row) for row in result] if result.returns_rows else []


def storable(text_: str) -> str:
    """A key as a database can keep it: PostgreSQL's text has no character 0, and UTF-8 none of half
    a character. Only keys of garbage have either."""
    return text_.replace("\0", "\ufffd").encode(errors="replace").decode()
