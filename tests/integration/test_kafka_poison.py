"""Poison on a real broker: aside with its reason and place, its key refused until it is replayed by
the command, everybody else unhindered; and the trace of a record on its whole way."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import KafkaProducer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, MetaData, Table, Text, insert, select

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.consuming import ConsumerMetrics, ConsumeStats, consume
from inyeon.runtime.log.envelope import decode, new_event
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.poison import expect_key
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.records import partition_of
from inyeon.runtime.log.topics import MATCHES, all_specs, dlq_spec
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore, temporary_store
from inyeon.runtime.store.tables import runtime_tables
from inyeon_protos.events.v1.events_pb2 import MatchEnded
from inyeon_stack import KafkaCluster

pytestmark = [pytest.mark.integration, pytest.mark.engine("kafka")]

PATIENCE_S = 60.0  # a child process that imports everything takes 5 s on a busy machine
TABLES = runtime_tables(MetaData())
effects = Table("effects", TABLES, Column("key", Text), Column("what", Text))
ENVELOPE = {"type": "inyeon.events.v1.MatchEnded", "schema_version": "1"}
PARTITIONS = next(spec.partitions for spec in all_specs() if spec.name == MATCHES)


@dataclass
class Bench:
    """A consumer of MATCHES that heeds only keys of this test: others use the topic too."""

    log: KafkaLog
    store: SqlStore
    servers: list[str]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    stats: ConsumeStats = field(default_factory=ConsumeStats)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    any_key: bool = False
    """Mended: a key that is not its match's is borne."""

    @property
    def group(self) -> str:
        return f"poison.{self.run_id}"

    def key(self, name: str) -> str:
        return f"{name}.{self.run_id}"

    async def handle(self, record: Record, tx: Transaction) -> None:
        if not record.key.endswith(self.run_id):
            return
        ended = decode(record, MatchEnded)
        if not self.any_key:
            expect_key(record, ended.match_id)
        row = {"key": record.key, "what": ended.ended_by}
        await tx.connection.execute(insert(effects).values(row))

    @asynccontextmanager
    async def consuming(self, tracer: trace.Tracer | None = None) -> AsyncIterator[None]:
        running = consume(
            self.log,
            self.group,
            [MATCHES],
            self.handle,
            store=self.store,
            clock=SystemClock(),
            stats=self.stats,
            metrics=ConsumerMetrics(self.registry),
            tracer=tracer,
        )
        task = asyncio.create_task(running)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def applied(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        async with self.store.reading() as connection:
            for row in await connection.execute(select(effects)):
                found.setdefault(row.key.split(".")[0], []).append(row.what)
        return found

    async def until_applied(self, wanted: dict[str, list[str]]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while (found := await self.applied()) != wanted:
            assert time.monotonic() < deadline_s, found
            await asyncio.sleep(0.05)

    async def command(self, *arguments: str) -> Any:
        """`inyeon log ... --json` as an operator runs it."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "inyeon", "log", *arguments, "--json"),
            env=os.environ | {"INYEON_KAFKA_SERVERS": json.dumps(self.servers)},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                said, _ = await child.communicate()
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        assert child.returncode == 0
        return json.loads(said)


@pytest.fixture
async def bench(kafka: KafkaCluster) -> AsyncIterator[Bench]:
    settings = RuntimeSettings(kafka_servers=kafka.servers, replica=uuid.uuid4().hex)
    log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    matches = next(spec for spec in all_specs() if spec.name == MATCHES)
    await log.create_topics([matches, dlq_spec(MATCHES)])
    async with temporary_store(TABLES) as store:
        yield Bench(log, store, list(kafka.servers))
    await log.close()


class Stranger:
    """Writes to the topic without our adapter."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._producer = KafkaProducer(bootstrap_servers=bench.servers, acks="all")

    async def write(
        self, name: str, value: bytes, partition: int | None = None, **headers: str
    ) -> tuple[int, int]:
        """The place that the broker gave it. An empty name writes no key."""
        key = self._bench.key(name) if name else None
        number = partition_of(key, PARTITIONS) if key else partition
        said = [(k, v.encode()) for k, v in (ENVELOPE | headers).items()]
        said.append(("event_id", uuid.uuid4().bytes.hex().encode()))
        encoded = key.encode() if key else None
        sent = self._producer.send(MATCHES, value, encoded, said, number)
        placed = await asyncio.to_thread(sent.get, PATIENCE_S)
        return placed.partition, placed.offset

    async def ended(self, name: str, what: str, about: str = "") -> tuple[int, int]:
        match_id = self._bench.key(about or name)
        ended = MatchEnded(match_id=match_id, user_a="a", user_b="b", ended_by=what)
        return await self.write(name, ended.SerializeToString())

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
async def stranger(bench: Bench) -> AsyncIterator[Stranger]:
    stranger = await asyncio.to_thread(Stranger, bench)
    yield stranger
    await asyncio.to_thread(stranger.close)


async def test_poison_goes_aside_and_comes_back_by_the_command(
    bench: Bench, stranger: Stranger
) -> None:
    places = {
        "VALUE_UNDECODABLE": await stranger.write("garbage", b"\xff\x00\xfe"),
        "TYPE_UNKNOWN": await stranger.write("type", b"", type="what.is.This"),
        "SCHEMA_UNKNOWN": await stranger.write("future", b"", schema_version="99"),
        "KEY_MISMATCH": await stranger.ended("wrong", "1", about="somebody"),
        "KEY_UNUSABLE": await stranger.write("", b"no key", partition=0),
    }
    poisoned = ["garbage", "type", "future", "wrong"]
    followers = [await stranger.ended(name, "2") for name in poisoned]
    await stranger.ended("good", "1")
    async with bench.consuming():
        await bench.until_applied({"good": ["1"]})
        await _until(lambda: (bench.stats.poison, bench.stats.refused) == (5, 4))
        letters = await _letters(bench, 9)
        for reason, place in places.items():
            assert letters[place] == reason
        assert {letters[place] for place in followers} == {"KEY_REFUSED"}
        shown = await bench.command("show", MATCHES, "--group", bench.group)
        assert {x["reason"]: x["letters"] for x in shown["waiting"]} == dict.fromkeys(places, 1) | {
            "KEY_REFUSED": 4
        }
        await stranger.ended("wrong", "3")  # refused still
        await stranger.ended("good", "2")
        await bench.until_applied({"good": ["1", "2"]})
        await _until(lambda: bench.stats.refused == 5)

        bench.any_key = True
        mended = ("--group", bench.group, "--key", bench.key("wrong"))
        replayed = await bench.command("replay", MATCHES, *mended)
        assert [x["reason"] for x in replayed["replayed"]] == ["KEY_MISMATCH", *["KEY_REFUSED"] * 2]
        await bench.until_applied({"good": ["1", "2"], "wrong": ["1", "2", "3"]})
        given_up = ("--group", bench.group, "--key", bench.key("garbage"))
        discarded = await bench.command(
            *("replay", MATCHES, *given_up, "--reason", "VALUE_UNDECODABLE", "--discard")
        )
        assert [x["reason"] for x in discarded["discarded"]] == ["VALUE_UNDECODABLE"]
        await stranger.ended("garbage", "3")
        wanted = {"good": ["1", "2"], "wrong": ["1", "2", "3"], "garbage": ["2", "3"]}
        await bench.until_applied(wanted)
        left = await bench.command("show", MATCHES, "--group", bench.group)
        assert {x["reason"] for x in left["waiting"]} == {
            "TYPE_UNKNOWN",
            "SCHEMA_UNKNOWN",
            "KEY_UNUSABLE",
            "KEY_REFUSED",
        }
    labels = {"group": bench.group, "topic": MATCHES, "reason": "KEY_MISMATCH"}
    assert bench.registry.get_sample_value("inyeon_consumer_dead_letters_total", labels) == 1


async def test_a_processing_span_links_to_the_span_that_published(bench: Bench) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    ended = MatchEnded(match_id=bench.key("m"), user_a="a", user_b="b", ended_by="1")
    with tracer.start_as_current_span("ends a match") as creating:
        created = creating.get_span_context()
        now = bench.log.clock.now()
        await bench.log.publish([new_event(MATCHES, bench.key("m"), ended, occurred_at=now)])
    async with bench.consuming(tracer):
        await bench.until_applied({"m": ["1"]})

    def linked() -> bool:
        spans = [s for s in exporter.get_finished_spans() if s.name == f"process {MATCHES}"]
        return any(link.context.span_id == created.span_id for s in spans for link in s.links)

    await _until(linked)
    links = [link.context for s in exporter.get_finished_spans() for link in s.links]
    assert created.trace_id in {context.trace_id for context in links}
    provider.shutdown()


async def _letters(bench: Bench, count: int) -> dict[tuple[int, int], str]:
    """Reasons of the dead letters of our group by source partition and offset."""
    reader = await bench.log.read_all([dlq_spec(MATCHES).name])
    found: dict[tuple[int, int], str] = {}
    deadline_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline_s, found
        for record in await reader.poll(100, 0.5):
            headers = record.headers
            if headers.get("dlq_group") == bench.group:
                assert headers["dlq_topic"] == MATCHES
                place = int(headers["dlq_partition"]), int(headers["dlq_offset"])
                found[place] = headers["dlq_reason"]
    await reader.close()
    return found


async def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
