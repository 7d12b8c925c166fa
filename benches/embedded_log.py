"""How fast the embedded log appends, each acknowledged after fsync, beside plain SQLite on the same
disk in the same run.

    python benches/embedded_log.py [--json] [--folder DIR]

Payload 256 bytes, four headers, twelve partitions, keys drawn with seed 1. Batches: one publisher,
1,000 records a call. Singles: 64 publishers, one record a call. Plain: one transaction for each
append, the same durability (WAL, FULL).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path

from figures import Row, progress, report

from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.port import NewRecord, TopicSpec

BENCH = "embedded_log"
SEED = 1
PAYLOAD_BYTES = 256
PARTITIONS = 12
BATCH = 1_000
BATCHES = 60
PUBLISHERS = 64
SINGLES_EACH = 150
PLAIN_APPENDS = 1_500
ROUNDS = 200
RUNS = 3  # the median counts

HEADERS = {
    "event_id": "3f0c3a52-8f3b-4a39-9d0a-0d6f6f7f2b11",
    "type": "inyeon.events.v1.VerdictRecorded",
    "schema_version": "1",
    "occurred_at": "2026-01-01T00:00:00+00:00",
}


def main() -> int:
    """Runs everything; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-", dir=arguments.folder) as folder:
        rows = asyncio.run(_measure(Path(folder)))
    return report(rows, as_json=arguments.json)


async def _measure(folder: Path) -> list[Row]:
    records = _records(BATCH)
    said = f"{PAYLOAD_BYTES}-byte records, seed {SEED}, batches of {BATCH}, median of {RUNS} runs"
    progress(f"embedded log: {said}")
    plain = statistics.median(_plain(folder / f"plain{i}.db", records) for i in range(RUNS))
    batches = await _with_log(folder / "batches", lambda log: _batches(log, records))
    singles = await _with_log(folder / "singles", lambda log: _singles(log, records))
    latency_ms = await _with_log(folder / "latency", lambda log: _latency_ms(log, records))
    singles_metric = f"single appends, {PUBLISHERS} publishers"
    return [
        Row(BENCH, "batched appends", batches, "records/s", 20_000.0),
        Row(BENCH, singles_metric, singles, "records/s", 1_500.0),
        Row(BENCH, "plain: one transaction an append", plain, "records/s"),
        Row(BENCH, "single appends beside plain", singles / plain, "times"),
        Row(BENCH, "publish to poll, median", latency_ms, "ms", 5.0, "lower"),
    ]


def _records(count: int) -> list[NewRecord]:
    draw = random.Random(SEED)
    keys = [f"user-{draw.getrandbits(64):016x}" for _ in range(count)]
    return [NewRecord("bench", key, draw.randbytes(PAYLOAD_BYTES), HEADERS) for key in keys]


async def _with_log(stem: Path, measure: Callable[[EmbeddedLog], Awaitable[float]]) -> float:
    """The median of some runs, each on a new file."""
    values = []
    for i in range(RUNS):
        log = await EmbeddedLog.open(stem.with_suffix(f".{i}.db"))
        try:
            await log.create_topics([TopicSpec("bench", PARTITIONS)])
            values.append(await measure(log))
        finally:
            await log.close()
    return statistics.median(values)


async def _batches(log: EmbeddedLog, records: Sequence[NewRecord]) -> float:
    started_s = time.perf_counter()
    for _ in range(BATCHES):
        await log.publish(records)
    return BATCHES * len(records) / (time.perf_counter() - started_s)


async def _singles(log: EmbeddedLog, records: Sequence[NewRecord]) -> float:
    async def publisher(number: int) -> None:
        for i in range(SINGLES_EACH):
            await log.publish([records[(number + i) % len(records)]])

    started_s = time.perf_counter()
    await asyncio.gather(*[publisher(number) for number in range(PUBLISHERS)])
    return PUBLISHERS * SINGLES_EACH / (time.perf_counter() - started_s)


async def _latency_ms(log: EmbeddedLog, records: Sequence[NewRecord]) -> float:
    member = await log.join("bench", ["bench"])
    taken = []
    for i in range(ROUNDS):
        waiting = asyncio.ensure_future(member.poll(10, 10.0))
        await asyncio.sleep(0.001)  # the member waits before the record is there
        started_s = time.perf_counter()
        await log.publish([records[i % len(records)]])
        await waiting
        taken.append((time.perf_counter() - started_s) * 1e3)
    return statistics.median(taken)


def _plain(path: Path, records: Sequence[NewRecord]) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, k TEXT, v BLOB, h TEXT)")
        headers = json.dumps(HEADERS)
        started_s = time.perf_counter()
        for i in range(PLAIN_APPENDS):
            record = records[i % len(records)]
            row = (record.key, record.value, headers)
            connection.execute("INSERT INTO r (k, v, h) VALUES (?, ?, ?)", row)
        return PLAIN_APPENDS / (time.perf_counter() - started_s)


if __name__ == "__main__":
    sys.exit(main())
