"""The relay: order, crashes, leases, outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData, func, select, update

from inyeon.runtime.clock import Clock, ManualClock, SystemClock
from inyeon.runtime.errors import UnknownTopic
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import NewRecord, Position, Record, TopicSpec
from inyeon.runtime.store.leases import LEASE_S
from inyeon.runtime.store.outbox import BATCH, OutboxRelay, RelayMetrics
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox, outbox_leases, runtime_tables

pytestmark = pytest.mark.unit

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]


class CrashingLog(MemoryLog):
    """A log that takes what it is given and then raises once: the answer was lost."""

    crash = False

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        positions = await super().publish(records)
        if self.crash:
            self.crash = False
            raise ConnectionResetError("killed between publish and delete")
        return positions


@pytest.fixture
async def log() -> CrashingLog:
    log = CrashingLog()
    await log.create_topics([TopicSpec("t", 1)])
    return log


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[SqlStore]:
    async with open_store(runtime_tables(MetaData())) as store:
        yield store


async def _emit(store: SqlStore, *values: int, topic: str = "t") -> None:
    async with store.transaction() as tx:
        for value in values:
            await tx.emit(NewRecord(topic, "k", str(value).encode()))


async def _published(log: MemoryLog) -> list[Record]:
    return list(await (await log.read_all(["t"])).poll(100_000, 0.0))


async def _depth(store: SqlStore) -> int:
    async with store.reading() as connection:
        counted = await connection.execute(select(func.count()).select_from(outbox))
        return counted.scalar_one()


async def _until_empty(store: SqlStore) -> None:
    for _ in range(1_000):
        if await _depth(store) == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not forget what it published")


async def _end_leases(store: SqlStore, clock: ManualClock) -> None:
    """Time goes by: on the test's clock, and on the server's, which no test can move."""
    await clock.advance(LEASE_S + 0.1)
    if store.has_many_writers:
        async with store.transaction() as tx:
            await tx.connection.execute(update(outbox_leases).values(expires_us=1))


async def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s, "it never became true"
        await asyncio.sleep(0.002)


class Running:
    """A relay that runs within the block."""

    def __init__(self, store: SqlStore, log: MemoryLog, clock: Clock | None = None) -> None:
        self.metrics = RelayMetrics(CollectorRegistry())
        self.relay = OutboxRelay(
            store, log, clock or SystemClock(), owner="one", metrics=self.metrics
        )

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self.relay.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def value(self, metric: str) -> float:
        found = getattr(self.metrics, metric).labels("twin")._value.get()
        return float(found)


async def test_wakes_at_once_and_forgets_what_it_published(
    store: SqlStore, log: CrashingLog
) -> None:
    clock = ManualClock()  # stands still: only the commit itself can wake the relay
    async with Running(store, log, clock) as running:
        for i in range(5):
            await _emit(store, i)
            await _until(lambda i=i: running.value("published") == i + 1)  # type: ignore[misc]
        await _until_empty(store)
    assert [r.value for r in await _published(log)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_was_published_is_forgotten_without_another_commit(
    store: SqlStore, log: CrashingLog
) -> None:
    async with Running(store, log, ManualClock()) as running:
        await _emit(store, 1)
        await _until(lambda: running.value("published") == 1)
        await _until_empty(store)
    assert len(await _published(log)) == 1


async def test_a_relay_that_stops_forgets_what_it_published(
    store: SqlStore, log: CrashingLog
) -> None:
    async with Running(store, log) as running:
        await _emit(store, 1)
        await _until(lambda: running.value("published") == 1)
        await asyncio.sleep(0)  # on PostgreSQL it waits for another commit now
    if store.has_many_writers:
        assert await _depth(store) == 0


async def test_events_that_come_while_it_publishes_are_next(
    store: SqlStore, log: CrashingLog
) -> None:
    original = log.publish

    async def publish(records: Sequence[NewRecord]) -> Sequence[Position]:
        positions = await original(records)
        if len(positions) < 3:
            await _emit(store, *range(10 * len(positions), 11 * len(positions) + 1))
        return positions

    setattr(log, "publish", publish)  # noqa: B010 - a method
    await _emit(store, 1)
    relay = OutboxRelay(store, log, SystemClock(), owner="one")
    while await _depth(store):
        await relay.drain()
    assert [int(r.value or b"") for r in await _published(log)] == [1, 10, 11, 20, 21, 22]


async def test_more_than_a_batch_keeps_its_order(store: SqlStore, log: CrashingLog) -> None:
    await _emit(store, *range(2 * BATCH + 7))
    relay = OutboxRelay(store, log, SystemClock(), owner="one")
    assert await relay.drain() == 2 * BATCH + 7
    values = [int(r.value or b"") for r in await _published(log)]
    assert values == list(range(2 * BATCH + 7))


async def test_a_crash_before_the_delete_repeats_with_the_same_ids(
    store: SqlStore, log: CrashingLog
) -> None:
    await _emit(store, 1, 2, 3)
    log.crash = True
    with pytest.raises(ConnectionResetError):
        await OutboxRelay(store, log, SystemClock(), owner="one").drain()
    assert await _depth(store) == 3
    assert await OutboxRelay(store, log, SystemClock(), owner="one").drain() == 3
    records = await _published(log)
    assert [r.value for r in records] == [b"1", b"2", b"3"] * 2
    ids = [r.headers["event_id"] for r in records]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


async def test_an_outage_is_waited_out(store: SqlStore, log: CrashingLog) -> None:
    log.outage = True
    async with Running(store, log) as running:
        await _emit(store, 1)
        await _until(lambda: running.value("failures") >= 2)
        assert running.value("depth") == 1
        await _emit(store, 2)
        log.outage = False
        await _until(lambda: running.value("published") == 2)
    assert [r.value for r in await _published(log)] == [b"1", b"2"]


async def test_an_event_for_an_unknown_topic_is_kept(store: SqlStore, log: CrashingLog) -> None:
    await _emit(store, 1, topic="later")
    relay = OutboxRelay(store, log, SystemClock(), owner="one")
    with pytest.raises(UnknownTopic):
        await relay.drain()
    await log.create_topics([TopicSpec("later", 1)])
    assert await relay.drain() == 1


async def test_one_relay_at_a_time(store: SqlStore, log: CrashingLog) -> None:
    clock = ManualClock()
    first = OutboxRelay(store, log, clock, owner="one")
    second = OutboxRelay(store, log, clock, owner="two")
    await _emit(store, 1)
    assert await first.drain() == 1
    await _emit(store, 2)
    assert await second.drain() == 0
    assert await first.drain() == 1
    await _end_leases(store, clock)
    await _emit(store, 3)
    assert await second.drain() == 1
    await _emit(store, 4)
    assert await first.drain() == 0
    assert await second.drain() == 1
    assert [r.value for r in await _published(log)] == [b"1", b"2", b"3", b"4"]


async def test_a_relay_that_slept_through_its_lease_deletes_nothing(
    store: SqlStore, log: CrashingLog
) -> None:
    clock = ManualClock()
    sleeper, other = (OutboxRelay(store, log, clock, owner=o) for o in ("one", "two"))
    await _emit(store, 1)
    assert await sleeper.drain() == 1
    await _end_leases(store, clock)
    assert await other.drain() == 0
    sleeper._lease._since_s = clock.monotonic()  # as if its clock had stood still meanwhile
    await _emit(store, 2)
    assert await sleeper.drain() == 1
    assert await _depth(store) == 1
    assert await sleeper.drain() == 0
    assert await other.drain() == 1
    assert await _depth(store) == 0


async def test_a_restarted_owner_need_not_wait(store: SqlStore, log: CrashingLog) -> None:
    clock = ManualClock()
    assert await OutboxRelay(store, log, clock, owner="one").drain() == 0
    await _emit(store, 1)
    assert await OutboxRelay(store, log, clock, owner="one").drain() == 1


async def test_a_stopped_relay_gives_its_lease_back(store: SqlStore, log: CrashingLog) -> None:
    clock = ManualClock()
    async with Running(store, log, clock) as running:
        await _emit(store, 1)
        await _until(lambda: running.value("published") == 1)
        await _until_empty(store)
    await _emit(store, 2)
    assert await OutboxRelay(store, log, clock, owner="two").drain() == 1


async def test_says_how_deep_and_how_old(store: SqlStore, log: CrashingLog) -> None:
    log.outage = True
    async with Running(store, log) as running:
        await _emit(store, *range(BATCH + 100))
        await _until(lambda: running.value("depth") == BATCH + 100)
        await _until(lambda: running.value("age_s") > 0)


async def test_a_closed_store_does_not_keep_the_relay_from_stopping(
    store: SqlStore, log: CrashingLog
) -> None:
    async with Running(store, log):
        await store.close()
