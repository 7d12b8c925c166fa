"""A service that commits facts with events: store, outbox and relay in a process of their own.

    python benches/stack_service.py rate|flow DATABASE_URL SERVERS TOPIC COUNT

`rate`: many writers, so many events a transaction, as group commits do; prints events per second
from the first transaction to the last acknowledgement of the broker, with the relay beside them.
`flow`: 500 events a second, due evenly; an event's value is the moment at which it was due
(monotonic nanoseconds, the same clock in every process of a machine).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.loop import collect_less
from inyeon.runtime.loop import run as run_loop
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.store import many
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox, runtime_tables

WRITERS = 8
EVENTS_A_TRANSACTION = 50  # a group commit of moderation takes up to 512 sessions
PAYLOAD = "x" * 200
RATE_PER_S = 500
GATHER_S = 0.01  # between the starts of two commits; moderation's group commit leaves 0.03
MAX_TOGETHER = 512  # as moderation's group commit
KEYS = 1_000
WITHIN_S = 120.0

TABLES = runtime_tables(MetaData())
FACTS = Table(
    "bench_facts",
    TABLES,
    Column("fact", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)


async def commit(store: SqlStore, topic: str, values: Mapping[str, str]) -> None:
    """One transaction: facts at their next versions, an event with its value for each."""
    async with store.transaction() as tx:
        versions = await tx.next_versions(values)
        for key, value in values.items():
            headers = {"type": "bench.Fact", "schema_version": "1", "version": str(versions[key])}
            await tx.emit(NewRecord(topic, key, value.encode(), headers))
        rows = [{"fact": key, "version": versions[key]} for key in values]
        await many.put(tx.connection, FACTS, rows, key=["fact"])


async def rate(store: SqlStore, relay: OutboxRelay, topic: str, count: int) -> dict[str, float]:
    """Events per second through transaction, outbox, relay and broker."""
    todo = iter(range(count // EVENTS_A_TRANSACTION))

    async def write(writer: int) -> None:
        for number in todo:
            first = number * EVENTS_A_TRANSACTION
            numbers = range(first, first + EVENTS_A_TRANSACTION)
            await commit(store, topic, {f"{writer}:{n % KEYS}": PAYLOAD for n in numbers})

    began_s = time.perf_counter()
    await asyncio.gather(*[write(writer) for writer in range(WRITERS)])
    committed_s = time.perf_counter() - began_s
    await until_empty(store)
    took_s = time.perf_counter() - began_s
    return {"events_per_s": count / took_s, "committed_per_s": count / committed_s}


async def flow(store: SqlStore, topic: str, count: int) -> dict[str, float]:
    """Events due evenly; one writer commits together what became due within GATHER_S, as services
    do. An event's value is when it was due, so its wait for the writer counts."""
    began_ns = time.monotonic_ns()
    due_ns = [began_ns + number * 1_000_000_000 // RATE_PER_S for number in range(count)]
    done, largest, last_s = 0, 0, 0.0
    while done < count:
        next_s = (due_ns[done] - time.monotonic_ns()) / 1e9
        await asyncio.sleep(max(0.0, next_s, last_s + GATHER_S - time.monotonic()))
        last_s = time.monotonic()
        now_ns = time.monotonic_ns()
        until = done + sum(due <= now_ns for due in due_ns[done : done + MAX_TOGETHER])
        await commit(store, topic, {f"k{n % KEYS}": str(due_ns[n]) for n in range(done, until)})
        done, largest = until, max(largest, until - done)
    await until_empty(store)
    return {"largest_commit": largest}


async def until_empty(store: SqlStore) -> None:
    """Waits until the relay has published everything."""
    end_s = time.perf_counter() + WITHIN_S
    while time.perf_counter() < end_s:
        async with store.reading() as connection:
            if (await connection.execute(select(outbox.c.id).limit(1))).first() is None:
                return
        await asyncio.sleep(0.02)
    raise TimeoutError("the outbox did not drain")


async def main() -> int:
    """Does one task and prints its figures."""
    what, url, servers, topic, count = sys.argv[1:]
    settings = RuntimeSettings(kafka_servers=tuple(servers.split(",")), replica="bench-service")
    clock = SystemClock()
    log = await KafkaLog.open(settings, clock, CollectorRegistry())
    store = await SqlStore.open(url, TABLES, migrations=None, name="bench")
    relay = OutboxRelay(store, log, clock, owner="bench")
    relaying = asyncio.create_task(relay.run())
    collect_less()  # as every service
    try:
        if what == "rate":
            figures = await rate(store, relay, topic, int(count))
        else:
            figures = await flow(store, topic, int(count))
        print(json.dumps(figures))
    finally:
        relaying.cancel()
        with suppress(asyncio.CancelledError):
            await relaying
        await store.close()
        await log.close()
    return 0


if __name__ == "__main__":
    sys.exit(run_loop(main()))
