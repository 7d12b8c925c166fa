"""The figures of log and store on real engines: clients against the bare library, outbox and relay,
consumers, and the whole way from a transaction to its effect elsewhere."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from consume_rate import TABLES as CONSUME_TABLES
from consume_rate import consume_rate
from figures import Row, progress
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection
from stack_service import RATE_PER_S

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.consuming import InBatches, consume
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import Record, TopicSpec
from inyeon.runtime.loop import collect_less
from inyeon.runtime.loop import run as run_loop
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.store import many
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import runtime_tables
from inyeon_stack import KafkaCluster, Postgres

BENCH = "stack"
HERE = Path(__file__).resolve().parent
CLIENT_RECORDS = 60_000
RATE_EVENTS = 50_000
CONSUME_RECORDS = 40_000
FLOW_S = 20
PARTITIONS = 4
CHILD_S = 300.0
RUNS = 3  # ours and bare take turns; the median of each counts

EFFECTS = runtime_tables(MetaData())
SEEN = Table("bench_seen", EFFECTS, Column("event", Text, primary_key=True))


def log_rows(kafka: KafkaCluster, postgres: Postgres) -> list[Row]:
    """All of them, in turn: they would disturb each other."""
    run_loop(_create(kafka, [spec(name) for name in ("warm", "rate", "flow")]))
    rows = client_rows(kafka)
    rows += outbox_rows(kafka, postgres)
    rows += run_loop(consume_rows(kafka, postgres))
    return rows + run_loop(flow_rows(kafka, postgres))


def spec(name: str) -> TopicSpec:
    """A topic of the bench."""
    return TopicSpec(f"bench-{name}", PARTITIONS)


def client_rows(kafka: KafkaCluster) -> list[Row]:
    """CPU-seconds of our adapter for each record against the bare library's."""
    progress(f"clients: {CLIENT_RECORDS} records of 200 bytes and five headers, {RUNS} runs each")
    cpu: dict[tuple[str, str], list[float]] = {}
    speed: dict[tuple[str, str], list[float]] = {}
    for _ in range(RUNS):
        topics = {whose: f"bench-{uuid.uuid4().hex[:8]}" for whose in ("ours", "bare")}
        run_loop(_create(kafka, [TopicSpec(name, PARTITIONS) for name in topics.values()]))
        for what in ("produce", "consume"):
            for whose, topic in topics.items():
                servers = ",".join(kafka.servers)
                found = child("stack_client.py", whose, what, servers, topic, CLIENT_RECORDS)
                cpu.setdefault((whose, what), []).append(found["cpu_s"] / found["records"] * 1e6)
                speed.setdefault((whose, what), []).append(found["records"] / found["seconds"])
    rows = []
    for what in ("produce", "consume"):
        ours, bare = (statistics.median(cpu[whose, what]) for whose in ("ours", "bare"))
        fast, plain = (statistics.median(speed[whose, what]) for whose in ("ours", "bare"))
        rows += [
            Row(BENCH, f"{what}: CPU a record, ours to bare", ours / bare, "x", 2.0, "lower"),
            Row(BENCH, f"{what}: CPU a record, ours", ours, "us", None, "lower"),
            Row(BENCH, f"{what}: CPU a record, bare kafka-python", bare, "us", None, "lower"),
            Row(BENCH, f"{what}: ours", fast, "records/s"),
            Row(BENCH, f"{what}: bare kafka-python", plain, "records/s"),
        ]
    return rows


def outbox_rows(kafka: KafkaCluster, postgres: Postgres) -> list[Row]:
    """Events per second through transaction, outbox and relay."""
    progress(f"outbox and relay: {RATE_EVENTS} events, 50 a transaction, {RUNS} runs")
    found = []
    for run in range(RUNS):
        database = f"bench_rate_{run}"
        postgres.create(database)
        servers = ",".join(kafka.servers)
        answer = child(
            "stack_service.py", "rate", postgres.url(database), servers, "bench-rate", RATE_EVENTS
        )
        found.append(answer["events_per_s"])
    return [Row(BENCH, "outbox and relay to Kafka", statistics.median(found), "events/s", 5_000)]


async def consume_rows(kafka: KafkaCluster, postgres: Postgres) -> list[Row]:
    """Records per second from Kafka to committed effects in PostgreSQL."""
    progress(f"consume: {CONSUME_RECORDS} records with deduplication and an effect, {RUNS} runs")
    await asyncio.to_thread(postgres.create, "bench_consume")
    settings = RuntimeSettings(kafka_servers=kafka.servers, replica="bench-consume")
    log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    url = postgres.url("bench_consume")
    store = await SqlStore.open(url, CONSUME_TABLES, migrations=None, name="bench")
    try:
        batches = [
            await consume_rate(log, store, CONSUME_RECORDS, batches=True) for _ in range(RUNS)
        ]
        singles = await consume_rate(log, store, CONSUME_RECORDS // 4, batches=False)
    finally:
        await store.close()
        await log.close()
    unit = "records/s"
    return [
        Row(BENCH, "consume with dedupe and effect", statistics.median(batches), unit, 5_000),
        Row(BENCH, "consume, a statement for each record", singles, unit),
    ]


async def flow_rows(kafka: KafkaCluster, postgres: Postgres) -> list[Row]:
    """From when an event is due in one process to its committed effect in another."""
    progress(f"end to end: {RATE_PER_S} events a second for {FLOW_S} s, {RUNS} runs")
    for database in ("bench_flow", "bench_effects"):
        await asyncio.to_thread(postgres.create, database)
    settings = RuntimeSettings(kafka_servers=kafka.servers, replica="bench-flow")
    log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    url = postgres.url("bench_effects")
    store = await SqlStore.open(url, EFFECTS, migrations=None, name="bench")
    timed = TimedStore(store)

    async def take(batch: Sequence[Record], tx: Transaction) -> None:
        rows = [{"event": record.headers["event_id"]} for record in batch]
        await many.add(tx.connection, SEEN, rows)
        timed.begun += [int(record.value or b"0") for record in batch]

    async def run() -> None:
        handler = InBatches(take)
        topics = ["bench-flow"]
        await consume(log, "bench-flow", topics, handler, store=timed, clock=SystemClock())

    running = asyncio.create_task(run())
    collect_less()  # as every service
    arguments = (postgres.url("bench_flow"), ",".join(kafka.servers), "bench-flow")
    try:
        flows = [await _flow(timed, arguments) for _ in range(RUNS)]
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()
        await log.close()
    return _flow_figures(flows)


@dataclass(frozen=True, slots=True)
class Flow:
    """One run."""

    waits_ms: list[float]
    """Of the steady part, rising. The first two seconds open connections and fill caches."""
    missing: int
    largest_commit: float

    def quantile(self, share: float) -> float:
        """The wait that this share of the events did not exceed."""
        return self.waits_ms[int(len(self.waits_ms) * share)]


async def _flow(timed: TimedStore, arguments: tuple[str, ...]) -> Flow:
    count = RATE_PER_S * FLOW_S
    timed.waits_ms = []
    service = asyncio.to_thread(child, "stack_service.py", "flow", *arguments, count)
    answer = await asyncio.create_task(service)
    for _ in range(int(30.0 / 0.05)):
        if len(timed.waits_ms) >= count:
            break
        await asyncio.sleep(0.05)
    steady = sorted(timed.waits_ms[2 * RATE_PER_S :])
    return Flow(steady, count - len(timed.waits_ms), answer["largest_commit"])


def _flow_figures(flows: Sequence[Flow]) -> list[Row]:
    p99s = [flow.quantile(0.99) for flow in flows]
    median_ms = statistics.median(flow.quantile(0.5) for flow in flows)
    name = "end to end at 500/s"
    missing = sum(flow.missing for flow in flows)
    largest = max(flow.largest_commit for flow in flows)
    return [
        Row(BENCH, f"{name}, p50", median_ms, "ms", None, "lower"),
        Row(BENCH, f"{name}, p99", statistics.median(p99s), "ms", 50, "lower"),
        Row(BENCH, f"{name}, p99 of the worst run", max(p99s), "ms", None, "lower"),
        Row(BENCH, "end to end, effects missing", missing, "events", 0, "lower"),
        Row(BENCH, "end to end, most events in one commit", largest, "events"),
    ]


class TimedStore:
    """A store that notes, after each commit, how long ago its events were begun."""

    def __init__(self, store: SqlStore) -> None:
        self.begun: list[int] = []
        self.waits_ms: list[float] = []
        self._store = store

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """The store's own; what a failed one had begun is begun again."""
        self.begun = []
        async with self._store.transaction() as tx:
            yield tx
        now_ns = time.monotonic_ns()
        self.waits_ms += [(now_ns - at_ns) / 1e6 for at_ns in self.begun]

    def reading(self, *, once: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """The store's own."""
        return self._store.reading(once=once)

    async def close(self) -> None:
        """The store's own."""
        await self._store.close()


def child(script: str, *arguments: object) -> dict[str, float]:
    """Runs a script of this folder and returns the object that it printed last."""
    command = [sys.executable, str(HERE / script), *[str(each) for each in arguments]]
    done = subprocess.run(  # noqa: S603 - our own script
        command, capture_output=True, text=True, timeout=CHILD_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def _create(kafka: KafkaCluster, specs: list[TopicSpec]) -> None:
    settings = RuntimeSettings(kafka_servers=kafka.servers, replica="bench-topics")
    log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    try:
        await log.create_topics(specs)
    finally:
        await log.close()
