"""The log while its broker and its members misbehave: killed, stopped, restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogFenced, LogUnavailable, Unavailable
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.kafka_member import KafkaMember
from inyeon.runtime.log.kafka_settings import SESSION_S
from inyeon.runtime.log.port import (
    AllReader,
    GroupConsumer,
    NewRecord,
    Position,
    Record,
    TopicSpec,
)
from inyeon.runtime.settings import RuntimeSettings
from inyeon_stack import EngineMissing, KafkaCluster

pytestmark = [pytest.mark.integration, pytest.mark.engine("kafka")]

# A killed broker serves again after 6 to 9 s; then clients find each other within one lost request
# and a session; a busy machine takes its time for all of it.
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[KafkaCluster, None, None]:
    """A broker of our own: nobody else's tests should meet it dead."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
    except EngineMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    yield cluster
    cluster.stop()


@pytest.fixture
async def log(broker: KafkaCluster) -> AsyncIterator[KafkaLog]:
    log = await _open(broker)
    yield log
    await log.close()


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(
    log: KafkaLog, broker: KafkaCluster
) -> None:
    topic = await _topic(log)
    member, reader = await log.join(_name("g"), [topic]), await log.read_all([topic])
    acknowledged: set[str] = set()
    stop = asyncio.Event()
    publishing = asyncio.create_task(_publish(log, topic, acknowledged, stop))
    by_member, by_reader = _Seen(member), _Seen(reader)
    following = [asyncio.create_task(each.follow()) for each in (by_member, by_reader)]
    for _ in range(2):
        await _until(_grew(acknowledged, 200))
        await asyncio.to_thread(broker.nodes[0].kill)
        await asyncio.to_thread(broker.nodes[0].start)
        await _until(_grew(acknowledged, 200))
    stop.set()
    await publishing
    await _until(lambda: acknowledged <= by_member.keys() and acknowledged <= by_reader.keys())
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    await member.commit(list(by_member.last.values()))
    for seen in (by_member, by_reader):
        assert seen.in_order()


async def test_a_call_ends_while_the_broker_hangs(log: KafkaLog, broker: KafkaCluster) -> None:
    topic = await _topic(log)
    positions = await log.publish([NewRecord(topic, "k", b"v")])
    member = await log.join(_name("g"), [topic])
    assert await member.poll(1, PATIENCE_S)
    broker.nodes[0].pause()
    try:
        started_s = time.monotonic()
        outcomes = await asyncio.gather(
            log.publish([NewRecord(topic, "k", b"w")]),
            member.commit(positions),
            log.create_topics([TopicSpec(_name("t"))]),
            log.join(_name("g"), [topic]),
            log.read_all([topic]),
            member.poll(1, 1.0),
            return_exceptions=True,
        )
        assert time.monotonic() - started_s < PATIENCE_S
    finally:
        broker.nodes[0].resume()
    *failed, polled = outcomes
    assert all(isinstance(outcome, LogUnavailable) for outcome in failed), outcomes
    assert polled == ()
    with suppress(LogFenced):  # it hung for longer than a session: the group may have moved on
        await _eventually(lambda: member.commit(positions))
    await _eventually(lambda: log.publish([NewRecord(topic, "k", b"x")]))
    values = [r.value for r in await _take(member, 1)]
    while values[-1] != b"x":
        values += [r.value for r in await _take(member, 1)]
    # What was not committed in the session may come again, what was not acknowledged may be there.
    assert set(values) <= {b"v", b"w", b"x"}


async def test_closing_ends_in_time_without_a_broker(broker: KafkaCluster) -> None:
    log = await _open(broker)
    topic = await _topic(log)
    await log.join(_name("g"), [topic])
    await log.read_all([topic])
    broker.nodes[0].pause()
    try:
        started_s = time.monotonic()
        await log.close()
        took_s = time.monotonic() - started_s
    finally:
        broker.nodes[0].resume()
    assert took_s < 10.0


async def test_a_stopped_member_loses_its_partitions_and_cannot_commit(
    log: KafkaLog, broker: KafkaCluster
) -> None:
    topic, group = await _topic(log), _name("g")
    async with _member_process(broker, topic, group) as child:
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(40)])
        assert await _line(child) == "took 40"
        child.send_signal(signal.SIGSTOP)
        member = await log.join(group, [topic])
        assert len(await _take(member, 40)) == 40  # nothing was committed
        await log.publish([NewRecord(topic, "later", b"v")])
        records = await _take(member, 1)
        await member.commit([Position(r.topic, r.partition, r.offset) for r in records])
        child.send_signal(signal.SIGCONT)
        assert await _line(child) == "fenced"


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_successor_of_the_same_name_does_not_wait_for_the_end_of_a_session(
    log: KafkaLog, broker: KafkaCluster, fault: signal.Signals
) -> None:
    topic, group = await _topic(log), _name("g")
    async with _member_process(broker, topic, group, "owner") as child:
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(40)])
        assert await _line(child) == "took 40"
        child.send_signal(fault)
        began_s = time.monotonic()
        member = await log.join(group, [topic], member="owner")
        records = await _take(member, 40)  # nothing was committed
        took_s = time.monotonic() - began_s
        assert took_s < SESSION_S / 2, took_s
        await member.commit([Position(r.topic, r.partition, r.offset) for r in records])
        if fault is signal.SIGSTOP:
            child.send_signal(signal.SIGCONT)
            assert "another process runs under our name" in await _line(child)
            async with asyncio.timeout(PATIENCE_S):
                assert await child.wait() == 0
        assert member.assigned() == {(topic, n) for n in range(4)}
        await log.publish([NewRecord(topic, "k", b"later")])
        assert [r.value for r in await _take(member, 1)] == [b"later"]


class _Seen:
    """What one reader got."""

    def __init__(self, reader: GroupConsumer | AllReader) -> None:
        self.reader = reader
        self.last: dict[int, Position] = {}
        self._values: dict[int, list[str]] = {}

    async def follow(self) -> None:
        while True:
            try:
                records = await self.reader.poll(500, 0.5)
                for record in records:
                    assert record.value is not None
                    self._values.setdefault(record.partition, []).append(record.value.decode())
                    here = Position(record.topic, record.partition, record.offset)
                    self.last[record.partition] = here
                if isinstance(self.reader, KafkaMember) and records:
                    await self.reader.commit(list(self.last.values()))
            except (Unavailable, LogFenced):
                await asyncio.sleep(0.1)

    def keys(self) -> set[str]:
        return {value for values in self._values.values() for value in values}

    def in_order(self) -> bool:
        """The first time that each value was seen, values of a key rise."""
        for values in self._values.values():
            newest: dict[str, int] = {}
            for value in dict.fromkeys(values):
                key, number = value.split("#")
                if int(number) < newest.get(key, -1):
                    return False
                newest[key] = int(number)
        return True


async def _publish(log: KafkaLog, topic: str, acknowledged: set[str], stop: asyncio.Event) -> None:
    """As the relay does: the same batch again until it is acknowledged."""
    number = 0
    while not stop.is_set():
        batch = [f"k{i}#{number + i}" for i in range(10)]
        records = [NewRecord(topic, value.split("#")[0], value.encode()) for value in batch]
        await _eventually(partial(log.publish, records))
        acknowledged |= set(batch)
        number += 10


async def _eventually(call: Callable[[], Awaitable[object]]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            await call()
            return
        except Unavailable:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)


def _grew(values: set[str], by: int) -> Callable[[], bool]:
    until = len(values) + by
    return lambda: len(values) >= until


async def _open(broker: KafkaCluster) -> KafkaLog:
    settings = RuntimeSettings(kafka_servers=broker.servers, replica=uuid.uuid4().hex)
    return await KafkaLog.open(settings, SystemClock(), CollectorRegistry())


async def _topic(log: KafkaLog) -> str:
    topic = _name("t")
    await log.create_topics([TopicSpec(topic, 4)])
    return topic


def _name(prefix: str) -> str:
    return f"{prefix}.{uuid.uuid4().hex}"


@asynccontextmanager
async def _member_process(
    broker: KafkaCluster, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    program = Path(__file__).with_name("kafka_member_program.py")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), broker.servers[0], *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()  # also a stopped process ends by this
        await child.wait()


async def _line(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await child.stdout.readline()).decode().strip()


async def _take(member: GroupConsumer, count: int) -> list[Record]:
    got: list[Record] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(got) < count:
        assert time.monotonic() < deadline_s, f"{len(got)} of {count} records"
        try:
            got += await member.poll(count - len(got), 0.5)
        except LogUnavailable:
            await asyncio.sleep(0.1)
    return got


async def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
