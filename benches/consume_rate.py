"""How fast consumers are: records per second from the log to committed effects, with deduplication,
and where one record in a thousand is poison.

    python benches/consume_rate.py [--json] [--folder DIR] [--records N]

Embedded log and SQLite, both fsynced. 200-byte payloads, 1,000 keys, 12 partitions. The effect is
one row inserted per record: a statement for each record, or one for each batch. `consume_rows`
takes any log and store, so that the same figures can be had of others.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from figures import Row, progress, report
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.consuming import ConsumeStats, InBatches, consume
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Log, NewRecord, Record, TopicSpec
from inyeon.runtime.store.port import Store, Transaction
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import runtime_tables

BENCH = "consume_rate"
BAR = 5_000.0
SEED = 1
RECORDS = 20_000
KEYS = 1_000
PARTITIONS = 12
PAYLOAD_BYTES = 200
PUBLISH_AT_ONCE = 1_000
WITHIN_S = 120.0
POISON = b"poison"

TABLES = runtime_tables(MetaData())
EFFECTS = Table(
    "bench_effects",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("size", Integer, nullable=False),
)


def main() -> int:
    """Runs everything; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--records", type=int, default=RECORDS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-", dir=arguments.folder) as folder:
        rows = asyncio.run(_measure(Path(folder), arguments.records))
    return report(rows, as_json=arguments.json)


async def _measure(folder: Path, count: int) -> list[Row]:
    progress(f"embedded log and SQLite: {count} records of {PAYLOAD_BYTES} bytes, seed {SEED}")
    log = await EmbeddedLog.open(folder / "log.db")
    store = await SqlStore.open(folder / "effects.db", TABLES, migrations=None)
    try:
        return await consume_rows(log, store, "embedded, SQLite", count)
    finally:
        await store.close()
        await log.close()


async def consume_rows(log: Log, store: Store, where: str, count: int = RECORDS) -> list[Row]:
    """The figures of one log and store; the store needs TABLES."""
    batches = await consume_rate(log, store, count, batches=True)
    again = await consume_rate(log, store, count, batches=True, repeated=True)
    singles = await consume_rate(log, store, count, batches=False)
    poison = await consume_rate(log, store, count, batches=False, poison_every=1_000)
    unit = "records/s"
    return [
        Row(BENCH, f"{where}: handler of batches", batches, unit, BAR),
        Row(BENCH, f"{where}: the same records again", again, unit, BAR),
        Row(BENCH, f"{where}: handler of records", singles, unit),
        Row(BENCH, f"{where}: 1 in 1,000 poison", poison, unit),
    ]


async def consume_rate(
    log: Log,
    store: Store,
    count: int,
    *,
    batches: bool,
    poison_every: int = 0,
    repeated: bool = False,
) -> float:
    """Records per second of one consumer, from its first poll to its last effect, on a topic of
    its own. `repeated`: each record is there twice and only the first one counts. Raises
    RuntimeError where an effect is missing or doubled, TimeoutError."""
    topic = f"bench-{uuid.uuid4().hex[:12]}"
    await log.create_topics([TopicSpec(topic, PARTITIONS)])
    records = _records(topic, count // 2 if repeated else count, poison_every)
    for _ in range(2 if repeated else 1):
        for start in range(0, len(records), PUBLISH_AT_ONCE):
            await log.publish(records[start : start + PUBLISH_AT_ONCE])
    before, stats = await _effects(store), ConsumeStats()
    began_s = time.perf_counter()
    running = asyncio.create_task(_consume(log, store, topic, batches, stats))
    try:
        took_s = await _until_done(running, stats, len(records) * (2 if repeated else 1), began_s)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    if await _effects(store) - before != stats.applied:
        raise RuntimeError(f"an effect is missing or doubled: {stats}")
    return len(records) * (2 if repeated else 1) / took_s


async def _consume(log: Log, store: Store, topic: str, batches: bool, stats: ConsumeStats) -> None:
    clock = SystemClock()
    if batches:
        handler = InBatches(_apply_all)
        await consume(log, topic, [topic], handler, store=store, clock=clock, stats=stats)
    else:
        await consume(log, topic, [topic], _apply, store=store, clock=clock, stats=stats)


async def _until_done(
    running: asyncio.Task[None], stats: ConsumeStats, count: int, began_s: float
) -> float:
    while stats.applied + stats.seen + stats.refused + stats.poison < count:
        if running.done():
            running.result()
        if time.perf_counter() - began_s > WITHIN_S:
            raise TimeoutError(f"not done after {WITHIN_S} s: {stats}")
        await asyncio.sleep(0.005)
    return time.perf_counter() - began_s


async def _apply(record: Record, tx: Transaction) -> None:
    if record.value == POISON:
        raise PoisonRecord("NONSENSE")
    await tx.connection.execute(insert(EFFECTS), _row(record))


async def _apply_all(records: Sequence[Record], tx: Transaction) -> None:
    await tx.connection.execute(insert(EFFECTS), [_row(record) for record in records])


def _row(record: Record) -> dict[str, object]:
    return {"key": record.key, "size": len(record.value or b"")}


async def _effects(store: Store) -> int:
    async with store.reading() as connection:
        found = await connection.execute(select(func.count()).select_from(EFFECTS))
        return int(found.scalar_one())


def _records(topic: str, count: int, poison_every: int) -> list[NewRecord]:
    draw = random.Random(SEED)
    records = []
    for i in range(count):
        bad = poison_every and i % poison_every == poison_every - 1
        # A key of its own, so that the figure is of poison and not of its followers.
        key = f"bad-{i}" if bad else f"user-{draw.randrange(KEYS)}"
        value = POISON if bad else draw.randbytes(PAYLOAD_BYTES)
        headers = {
            "type": "inyeon.events.v1.MatchLive",
            "schema_version": "1",
            "occurred_at": "2026-01-01T00:00:00+00:00",
        }
        records.append(NewRecord(topic, key, value, {**headers, "event_id": str(uuid.uuid4())}))
    return records


if __name__ == "__main__":
    sys.exit(main())
