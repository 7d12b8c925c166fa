"""Spans of consumers, seen by an exporter in memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from sqlalchemy import MetaData, select

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.consuming import ConsumePolicy, ConsumeStats, InBatches, consume
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import NewRecord, Record, TopicSpec
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore, temporary_store
from inyeon.runtime.store.tables import outbox, runtime_tables
from inyeon.runtime.tracing import outgoing_metadata

pytestmark = pytest.mark.unit

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
CREATED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Bench:
    """A consumer whose handler emits one event for each record."""

    def __init__(self, log: MemoryLog, store: SqlStore, eventually: Eventually) -> None:
        self.log, self.store, self.eventually = log, store, eventually
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.seen: list[str] = []

    async def send(self, *values: bytes, traceparent: str = CREATED) -> None:
        for value in values:
            headers = {"event_id": value.decode(), "traceparent": traceparent}
            await self.log.publish([NewRecord("plain", value.decode(), value, headers)])

    async def handle(self, record: Record, tx: Transaction) -> None:
        carrier = dict(outgoing_metadata())
        self.seen.append(carrier["traceparent"])
        await tx.emit(NewRecord("matching.outcomes", record.key, b"", carrier))
        if record.value == b"bad":
            raise PoisonRecord("NONSENSE")

    async def handle_all(self, records: Sequence[Record], tx: Transaction) -> None:
        for record in records:
            await self.handle(record, tx)

    async def run(self, count: int, tracer: Tracer | None, *, batches: bool = False) -> None:
        stats, policy, clock = ConsumeStats(), ConsumePolicy(poll_s=0.02), SystemClock()
        handler = InBatches(self.handle_all) if batches else self.handle
        running = consume(
            *(self.log, "g", ["plain"], handler),
            store=self.store,
            clock=clock,
            policy=policy,
            stats=stats,
            tracer=tracer,
        )
        task = asyncio.create_task(running)
        await self.eventually(lambda: stats.applied + stats.poison == count)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    async def emitted(self) -> list[str]:
        async with self.store.reading() as connection:
            rows = (await connection.execute(select(outbox.c.headers))).scalars()
            return [row.split('"traceparent": "')[1][:55] for row in rows]


@pytest.fixture
async def bench(eventually: Eventually) -> AsyncIterator[Bench]:
    log = MemoryLog()
    await log.create_topics([TopicSpec("plain", 1)])
    async with temporary_store(runtime_tables(MetaData())) as store:
        bench = Bench(log, store, eventually)
        yield bench
        bench.provider.shutdown()
    await log.close()


async def test_a_span_for_each_record_links_to_the_one_that_created_it(bench: Bench) -> None:
    await bench.send(b"1", b"2")
    await bench.run(2, bench.provider.get_tracer("t"))
    spans = bench.spans()
    assert [span.name for span in spans] == ["process plain", "process plain"]
    for offset, span in enumerate(spans):
        link = span.links[0].context
        assert f"00-{link.trace_id:032x}-{link.span_id:016x}-01" == CREATED
        assert (span.parent, span.kind) == (None, SpanKind.CONSUMER)
        assert span.attributes is not None
        assert span.attributes["messaging.consumer.group.name"] == "g"
        assert span.attributes["messaging.kafka.offset"] == offset


async def test_what_a_handler_emits_carries_its_span(bench: Bench) -> None:
    await bench.send(b"1")
    await bench.run(1, bench.provider.get_tracer("t"))
    context = bench.spans()[0].context
    assert context is not None
    (emitted,) = await bench.emitted()
    assert bench.seen == [emitted]
    assert emitted.startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-0")


async def test_one_span_for_a_batch_links_to_every_record_of_it(bench: Bench) -> None:
    other = CREATED.replace("b7ad", "c7ad")
    await bench.send(b"1")
    await bench.send(b"2", traceparent=other)
    await bench.send(b"3", traceparent="nonsense")
    await bench.run(3, bench.provider.get_tracer("t"), batches=True)
    (span,) = bench.spans()
    assert [f"{link.context.span_id:016x}" for link in span.links] == [
        CREATED.split("-")[2],
        other.split("-")[2],
    ]
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 3


async def test_a_failure_is_seen_in_its_span(bench: Bench) -> None:
    await bench.send(b"bad")
    await bench.run(1, bench.provider.get_tracer("t"))
    assert bench.spans()[0].status.status_code is StatusCode.ERROR
    assert bench.spans()[0].events[0].name == "exception"


async def test_where_nobody_records_the_trace_of_the_record_goes_on(bench: Bench) -> None:
    await bench.send(b"1")
    await bench.run(1, None)
    (emitted,) = await bench.emitted()
    assert emitted.split("-")[1] == CREATED.split("-")[1]
    assert emitted.split("-")[2] != CREATED.split("-")[2]
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_process_records_where_it_is_told_to() -> None:
    """In a process of its own, because a process has one provider for good."""
    program = """
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.processing import Spans
from inyeon.runtime.telemetry import configure_tracing
exporter = InMemorySpanExporter()
assert configure_tracing("here", []) is None
early = Spans("g")
provider = configure_tracing("here", [SimpleSpanProcessor(exporter)])
record = Record("t", 0, 0, "k", b"", {}, SystemClock().now())
for spans in (early, Spans("g")):
    with spans.of(record):
        pass
provider.shutdown()
resources = [span.resource.attributes for span in exporter.get_finished_spans()]
names = [(found["service.name"], found["service.instance.id"]) for found in resources]
assert names == [("inyeon", "here")] * 2, names
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)  # noqa: S603


PROCESS = """
import asyncio, sys
from pathlib import Path
from inyeon.runtime.harness import run
from inyeon.runtime.log.consuming import consume
from inyeon.runtime.log.port import NewRecord, TopicSpec
from inyeon.runtime.service import BackgroundTask, Service
from inyeon.runtime.settings import RuntimeSettings

async def main(folder: Path, traces: str) -> int:
    stop = asyncio.Event()

    async def build(ground):
        async def act(record, _):
            stop.set()

        async def work():
            await consume(ground.log, "g", ["plain"], act, store=None, clock=ground.clock)

        await ground.log.create_topics([TopicSpec("plain", 1)])
        await ground.log.publish([NewRecord("plain", "k", b"v", {"traceparent": CREATED})])
        return Service("small", (), lambda _: None, tasks=(BackgroundTask("work", work),))

    settings = RuntimeSettings(
        data_dir=folder, traces=traces, replica="here", grpc_port=0, internal_port=0, http_port=0
    )
    return await run([build], settings, stop=stop)

sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2])))
"""


@pytest.mark.parametrize("traces", ["off", "stderr"])
def test_an_operator_sees_spans_who_asks_for_them(traces: str, tmp_path: Path) -> None:
    program = f"CREATED = {CREATED!r}\n{PROCESS}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, str(tmp_path), traces],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    spans = [span for span in map(json.loads, lines) if "span_id" in span.get("context", {})]
    assert [span["name"] for span in spans] == (["process plain"] if traces == "stderr" else [])
    for span in spans:
        assert span["links"][0]["context"]["trace_id"] == f"0x{CREATED.split('-')[1]}"
        assert span["resource"]["attributes"]["service.instance.id"] == "here"
