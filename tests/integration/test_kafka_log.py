"""What the log contract does not say, on a real broker: fencing, back-pressure, foreign records,
rebalances, how topics are configured."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogFenced, LogUnavailable
from inyeon.runtime.log import kafka_buffer
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import GroupConsumer, NewRecord, Position, Record, TopicSpec
from inyeon.runtime.settings import RuntimeSettings
from inyeon_stack import KafkaCluster

pytestmark = [pytest.mark.integration, pytest.mark.engine("kafka")]

PATIENCE_S = 30.0  # a session that times out takes 10 s, on a busy machine more


class _Logs:
    """Logs of several replicas on one broker, closed at the end."""

    def __init__(self, kafka: KafkaCluster) -> None:
        self.servers = list(kafka.servers)
        self.opened: list[KafkaLog] = []
        self.registries: list[CollectorRegistry] = []

    async def open(self, replica: str = "") -> KafkaLog:
        settings = RuntimeSettings(
            kafka_servers=tuple(self.servers), replica=replica or uuid.uuid4().hex
        )
        registry = CollectorRegistry()
        log = await KafkaLog.open(settings, SystemClock(), registry)
        self.opened.append(log)
        self.registries.append(registry)
        return log


@pytest.fixture
async def logs(kafka: KafkaCluster) -> AsyncIterator[_Logs]:
    logs = _Logs(kafka)
    yield logs
    await asyncio.gather(*[log.close() for log in logs.opened])


async def test_a_second_process_of_the_same_name_fences_the_first(logs: _Logs) -> None:
    topic, group = _name("t"), _name("g")
    first_log, second_log = await logs.open("same"), await logs.open("same")
    await first_log.create_topics([TopicSpec(topic, 1)])
    first = await first_log.join(group, [topic])
    await first_log.publish([NewRecord(topic, "k", b"v")])
    record = (await _take(first, 1))[0]
    second = await second_log.join(group, [topic])
    assert len(await _take(second, 1)) == 1
    with pytest.raises(LogFenced, match="under our name"):
        await first.commit([_position(record)])
    with pytest.raises(LogFenced):
        await first.poll(1, 1.0)
    await first.close()  # must not throw its successor out
    await second.commit([_position(record)])


async def test_a_restarted_replica_finds_its_partitions_again(logs: _Logs) -> None:
    topic, group = _name("t"), _name("g")
    log = await logs.open("a")
    await log.create_topics([TopicSpec(topic, 4)])
    other = await (await logs.open("b")).join(group, [topic])
    mine = await log.join(group, [topic])
    await _until(lambda: len(mine.assigned()) == 2 and len(other.assigned()) == 2)
    held, others = mine.assigned(), other.assigned()
    again = await (await logs.open("a")).join(group, [topic])  # as after kill -9: nobody left
    await _until(lambda: again.assigned() == held)
    assert other.assigned() == others


async def test_a_slow_application_pauses_the_fetching_and_keeps_its_place(
    logs: _Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_buffer, "MOST_RECORDS", 50)
    topic, group = _name("t"), _name("g")
    log = await logs.open()
    await log.create_topics([TopicSpec(topic, 2)])
    await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(5_000)])
    member = await log.join(group, [topic])
    got = list(await _take(member, 10))
    await _until(member.buffer.full)  # type: ignore[attr-defined]
    buffered = member.buffer.waiting()  # type: ignore[attr-defined]
    assert 0 < buffered[topic] <= 50 + 512
    second = await (await logs.open()).join(group, [topic])
    await _until(lambda: len(second.assigned()) == 1)  # a held-back member takes part in rebalances
    places = member.assigned()
    got += await _take_all(member, second, 5_000 - len(got))
    offsets = [(r.partition, r.offset) for r in got]
    assert len(set(offsets)) == 5_000
    assert len(member.assigned() | second.assigned()) == 2 and places == member.assigned()
    assert logs.registries[0].get_sample_value("inyeon_log_paused_seconds_total", {"group": group})


async def test_what_others_write_reaches_the_reader(logs: _Logs) -> None:
    topic = _name("t")
    log = await logs.open()
    await log.create_topics([TopicSpec(topic, 1)])
    producer = KafkaProducer(bootstrap_servers=logs.servers)
    foreign: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
        (None, b"no key", []),
        (b"\xff\xfe", b"key is no text", []),
        (b"k", None, []),
        (b"k", b"", [("type", b"\xc3\x28"), ("type", b"last"), ("", b"unnamed")]),
        (b"k", b"\x00" * 100_000, [(f"h{i}", b"x") for i in range(200)]),
    ]
    for key, value, headers in foreign:
        await asyncio.to_thread(producer.send(topic, value, key, headers, 0).get, 10)
    producer.close()
    member = await log.join(_name("g"), [topic])
    got = await _take(member, 5)
    assert [r.key for r in got] == ["", "\\xff\\xfe", "k", "k", "k"]
    assert [r.value for r in got] == [value for _, value, _ in foreign]
    assert dict(got[3].headers) == {"type": "last", "": "unnamed"}
    assert len(got[4].headers) == 200


async def test_partitions_move_without_loss_and_with_nothing_done_twice(logs: _Logs) -> None:
    """Members come and go under load. Each commits what it did; what comes twice was not committed
    by the member that lost it."""
    topic, group = _name("t"), _name("g")
    log = await logs.open()
    await log.create_topics([TopicSpec(topic, 6)])
    seen: dict[tuple[int, int], int] = {}
    stop = asyncio.Event()

    async def work(member: GroupConsumer) -> None:
        while not stop.is_set():
            records = await member.poll(20, 0.2)
            done: dict[int, Record] = {}
            for record in records:
                if (topic, record.partition) in member.assigned():
                    place = (record.partition, record.offset)
                    seen[place] = seen.get(place, 0) + 1
                    done[record.partition] = record
            try:
                await member.commit([_position(r) for r in done.values()])
            except LogFenced:
                continue

    workers = [asyncio.create_task(work(await log.join(group, [topic])))]
    for i in range(30):
        await log.publish([NewRecord(topic, f"k{i}-{j}", b"v") for j in range(50)])
        if i in (5, 15):
            workers.append(
                asyncio.create_task(work(await (await logs.open()).join(group, [topic])))
            )
    await _until(lambda: len(seen) == 1_500)
    stop.set()
    await asyncio.gather(*workers)
    assert len(seen) == 1_500
    # At least once: only what was in hand while a partition moved may have come a second time.
    assert sum(count - 1 for count in seen.values()) <= 2 * 6 * 20


async def test_topics_are_brought_to_the_table(logs: _Logs) -> None:
    topic = _name("t")
    log = await logs.open()
    await log.create_topics([TopicSpec(topic, 2, timedelta(days=1))])
    other = await logs.open()
    wanted = TopicSpec(topic, 2, timedelta(minutes=10))
    await asyncio.gather(other.create_topics([wanted]), (await logs.open()).create_topics([wanted]))
    admin = KafkaAdminClient(bootstrap_servers=logs.servers)
    asked = ConfigResource("TOPIC", topic, {"retention.ms": None, "cleanup.policy": None})
    found = admin.describe_configs([asked], config_filter="all")["topic"][topic]
    admin.close()
    assert found["retention.ms"]["value"] == "600000"
    assert found["cleanup.policy"]["value"] == "delete"


async def test_many_processes_create_the_same_topics_at_once(logs: _Logs) -> None:
    specs = [TopicSpec(_name("t"), 3, compacted=True) for _ in range(5)]
    three = [await logs.open() for _ in range(3)]
    await asyncio.gather(*[log.create_topics(specs) for log in three])
    await three[0].publish([NewRecord(spec.name, "k", None) for spec in specs])


async def test_another_process_may_use_a_topic_that_it_did_not_create(logs: _Logs) -> None:
    topic = _name("t")
    await (await logs.open()).create_topics([TopicSpec(topic, 5, compacted=True)])
    other = await logs.open()
    positions = await other.publish([NewRecord(topic, "k", None)])
    assert [r.offset for r in await _take(await other.join(_name("g"), [topic]), 1)] == [
        positions[0].offset
    ]


async def test_the_lag_is_what_was_not_taken(logs: _Logs) -> None:
    topic, group = _name("t"), _name("g")
    log = await logs.open()
    await log.create_topics([TopicSpec(topic, 2)])
    await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(40)])
    member = await log.join(group, [topic])

    def lag() -> float | None:
        return logs.registries[0].get_sample_value(
            "inyeon_log_lag", {"group": group, "topic": topic}
        )

    await _take(member, 10, at_once=10)
    await _until(lambda: lag() == 30)
    await _take(member, 30)
    await _until(lambda: lag() == 0)
    await member.close()
    assert lag() is None
    rebalances = {"group": group}
    assert logs.registries[0].get_sample_value("inyeon_log_rebalances_total", rebalances)


async def test_a_broker_that_is_not_there_is_said_in_time() -> None:
    settings = RuntimeSettings(kafka_servers=("127.0.0.1:1",))
    started_s = time.monotonic()
    with pytest.raises(LogUnavailable):
        await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    assert time.monotonic() - started_s < PATIENCE_S


def _name(prefix: str) -> str:
    return f"{prefix}.{uuid.uuid4().hex}"


def _position(record: Record) -> Position:
    return Position(record.topic, record.partition, record.offset)


async def _take(member: GroupConsumer, count: int, at_once: int = 100) -> list[Record]:
    got: list[Record] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(got) < count:
        assert time.monotonic() < deadline_s, f"{len(got)} of {count} records"
        got += await member.poll(min(at_once, count - len(got)), 0.5)
    return got


async def _take_all(one: GroupConsumer, other: GroupConsumer, count: int) -> list[Record]:
    got: list[Record] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(got) < count:
        assert time.monotonic() < deadline_s, f"{len(got)} of {count} records"
        for member in (one, other):
            got += await member.poll(100, 0.05)
    return got


async def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
