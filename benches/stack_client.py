"""One client of Kafka in a process of its own: ours or the bare library, producing or consuming.

    python benches/stack_client.py ours|bare produce|consume SERVERS TOPIC COUNT

Prints one JSON object: seconds, CPU-seconds of all its threads, records. Both get the same keys,
payloads and envelope headers, the same safe settings (all acknowledgements, idempotence, no
auto-commit), and both commit after each batch.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.kafka_settings import producer_options, reader_options
from inyeon.runtime.log.port import NewRecord, Position
from inyeon.runtime.settings import RuntimeSettings

SEED = 4
PAYLOAD_BYTES = 200
KEYS = 1_000
BATCH = 500  # a relay's batch, and a consumer's
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Task:
    """What a client has to do."""

    settings: RuntimeSettings
    topic: str
    count: int


def records(topic: str, count: int) -> Iterator[NewRecord]:
    """The workload: envelope headers, 200 random bytes, 1,000 keys."""
    rng = random.Random(SEED)
    for number in range(count):
        headers = {
            "event_id": f"{rng.getrandbits(128):032x}",
            "type": "inyeon.events.v1.VerdictRecorded",
            "schema_version": "1",
            "occurred_at": datetime.now(UTC).isoformat(),
            "version": str(number),
        }
        yield NewRecord(topic, f"user-{number % KEYS}", rng.randbytes(PAYLOAD_BYTES), headers)


async def ours_produces(task: Task) -> None:
    """Batches through the port, each awaited."""
    todo = list(records(task.topic, task.count))
    log = await KafkaLog.open(task.settings, SystemClock(), CollectorRegistry())
    try:
        _begin()
        for start in range(0, len(todo), BATCH):
            await log.publish(todo[start : start + BATCH])
        _end(task.count)
    finally:
        await log.close()


async def ours_consumes(task: Task) -> None:
    """Polls and commits through the port."""
    log = await KafkaLog.open(task.settings, SystemClock(), CollectorRegistry())
    member = await log.join(f"ours-{task.topic}", [task.topic])
    done = 0
    try:
        _begin()
        while done < task.count:
            batch = await member.poll(BATCH, 1.0)
            last = {(r.topic, r.partition): r.offset for r in batch}
            await member.commit([Position(*place, offset) for place, offset in last.items()])
            done += len(batch)
            _check_time()
        _end(done)
    finally:
        await log.close()


def bare_produces(task: Task) -> None:
    """`send` for each record, every batch flushed and asked whether it arrived."""
    todo = list(records(task.topic, task.count))
    producer = KafkaProducer(**producer_options(task.settings))
    producer.partitions_for(task.topic)
    _begin()
    for start in range(0, len(todo), BATCH):
        sent = [
            producer.send(
                task.topic,
                key=record.key.encode(),
                value=record.value,
                headers=[(name, text.encode()) for name, text in record.headers.items()],
            )
            for record in todo[start : start + BATCH]
        ]
        producer.flush(WITHIN_S)
        for future in sent:
            future.get(WITHIN_S)
    _end(task.count)
    producer.close()


def bare_consumes(task: Task) -> None:
    """`poll`, reads key, value and headers of each record, commits."""
    options = reader_options(task.settings) | {"group_id": f"bare-{task.topic}"}
    consumer: Any = KafkaConsumer(task.topic, **options)
    done = 0
    _begin()
    while done < task.count:
        for batch in consumer.poll(timeout_ms=1_000, max_records=BATCH).values():
            for record in batch:
                _ = {name: value.decode() for name, value in record.headers}, record.key.decode()
            done += len(batch)
        consumer.commit()
        _check_time()
    _end(done)
    consumer.close()


_began: list[float] = []


def _begin() -> None:
    _began[:] = [time.perf_counter(), time.process_time()]


def _end(count: int) -> None:
    took_s, cpu_s = time.perf_counter() - _began[0], time.process_time() - _began[1]
    print(json.dumps({"records": count, "seconds": took_s, "cpu_s": cpu_s}))


def _check_time() -> None:
    if time.perf_counter() - _began[0] > WITHIN_S:
        raise TimeoutError(f"not done after {WITHIN_S:g} s")


def main() -> int:
    """Does one task."""
    whose, what, servers, topic, count = sys.argv[1:]
    settings = RuntimeSettings(kafka_servers=tuple(servers.split(",")), replica=f"{whose}-{what}")
    task = Task(settings, topic, int(count))
    if whose == "ours":
        asyncio.run(ours_produces(task) if what == "produce" else ours_consumes(task))
    else:
        bare: Callable[[Task], None] = bare_produces if what == "produce" else bare_consumes
        bare(task)
    return 0


if __name__ == "__main__":
    sys.exit(main())
