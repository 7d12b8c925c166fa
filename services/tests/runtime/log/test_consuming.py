"""The consumer runner: one effect for each record, poison aside, outages waited out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, Text, insert, select

from inyeon.runtime.clock import ManualClock, SystemClock
from inyeon.runtime.errors import ConsumerStopped, LogFenced, StoreUnavailable, UnknownTopic
from inyeon.runtime.log.consuming import ConsumePolicy, ConsumeStats, consume
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.poison import PoisonLimit, PoisonRecord
from inyeon.runtime.log.port import NewRecord, Position, Record, TopicSpec
from inyeon.runtime.store.ledger import Ledger
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import runtime_tables

pytestmark = pytest.mark.unit

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
TABLES = runtime_tables(MetaData())
effects = Table("effects", TABLES, Column("what", Text))
FAST = ConsumePolicy(first_backoff_s=0.001, longest_backoff_s=0.005, poll_s=0.05)


class CountingLog(MemoryLog):
    """Counts what members commit."""

    commits = 0

    async def save(self, group: str, epoch: int, offsets: Mapping[tuple[str, int], int]) -> None:
        await super().save(group, epoch, offsets)
        self.commits += 1


class Bench:
    """A log, a store and a consumer whose handler notes `topic:value` as its effect."""

    def __init__(self, log: CountingLog, store: SqlStore) -> None:
        self.log = log
        self.store = store
        self.topics = ["plain", "state"]
        self.stats = ConsumeStats()
        self.trouble: dict[bytes | None, list[BaseException]] = {}
        self.task: asyncio.Task[None] | None = None

    async def handle(self, record: Record, tx: Transaction) -> None:
        what = f"{record.key}:{(record.value or b'-').decode()}"
        await tx.connection.execute(insert(effects).values(what=what))
        if waiting := self.trouble.get(record.value):
            raise waiting.pop(0)

    def start(self, policy: ConsumePolicy = FAST, member: str = "") -> asyncio.Task[None]:
        running = consume(
            self.log,
            "g",
            self.topics,
            self.handle,
            store=self.store,
            clock=SystemClock(),
            state_topics={"state"},
            policy=policy,
            stats=self.stats,
            member=member,
        )
        self.task = asyncio.create_task(running)
        return self.task

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError, ConsumerStopped):
                await self.task

    async def plain(self, *values: str, key: str = "k") -> None:
        for value in values:
            headers = {"event_id": f"id-{value}"}
            await self.log.publish([NewRecord("plain", key, value.encode(), headers)])

    async def state(self, version: int, value: bytes | None, key: str = "k") -> None:
        await self.log.publish([NewRecord("state", key, value, {"version": str(version)})])

    async def effects(self) -> list[str]:
        async with self.store.reading() as connection:
            return list((await connection.execute(select(effects.c.what))).scalars())

    async def dead_letters(self, topic: str = "plain") -> list[Record]:
        return list(await (await self.log.read_all([f"{topic}.dlq"])).poll(1_000, 0.0))


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def bench(open_store: OpenStore) -> AsyncIterator[Bench]:
    log = CountingLog()
    await log.create_topics([TopicSpec("plain", 2), TopicSpec("state", 2, compacted=True)])
    async with open_store(TABLES) as store:
        bench = Bench(log, store)
        yield bench
        await bench.stop()
    await log.close()


async def test_applies_in_order_and_goes_on_where_it_was(
    bench: Bench, eventually: Eventually
) -> None:
    await bench.plain("1", "2")
    bench.start()
    await eventually(lambda: bench.stats.applied == 2)
    await bench.stop()
    await bench.plain("3")
    bench.stats = ConsumeStats()
    bench.start()
    await eventually(lambda: bench.stats.applied == 1)
    assert bench.stats.seen == 0
    assert await bench.effects() == ["k:1", "k:2", "k:3"]


async def test_an_event_that_comes_again_has_no_second_effect(
    bench: Bench, eventually: Eventually
) -> None:
    await bench.plain("1", "1", "2", "1")
    bench.start()
    await eventually(lambda: bench.stats.applied + bench.stats.seen == 4)
    assert await bench.effects() == ["k:1", "k:2"]


async def test_the_highest_version_of_a_state_wins(bench: Bench, eventually: Eventually) -> None:
    for version, value in ((2, b"b"), (1, b"a"), (2, b"again"), (5, b"e"), (6, None), (3, b"c")):
        await bench.state(version, value)
    await bench.state(1, b"other", key="j")
    bench.start()
    await eventually(lambda: bench.stats.applied + bench.stats.seen == 7)
    assert sorted(await bench.effects()) == ["j:other", "k:-", "k:b", "k:e"]


async def test_what_may_succeed_later_is_tried_until_it_does(
    bench: Bench, eventually: Eventually
) -> None:
    bench.trouble[b"1"] = [StoreUnavailable("away") for _ in range(12)]
    await bench.plain("1", "2")
    bench.start()
    await eventually(lambda: bench.stats.applied == 2)
    assert await bench.effects() == ["k:1", "k:2"]
    assert bench.stats.retried == 12
    assert await bench.dead_letters() == []


async def test_poison_goes_aside_and_its_key_stays_refused(
    bench: Bench, eventually: Eventually
) -> None:
    bench.trouble[b"bad"] = [PoisonRecord("NONSENSE", "no such thing")]
    await bench.plain("1", "bad", "3")
    await bench.plain("other", key="j")
    bench.start()
    await eventually(lambda: bench.stats.refused == 1 and bench.stats.applied == 2)
    letters = await bench.dead_letters()
    assert [(r.value, r.headers["dlq_reason"]) for r in letters] == [
        (b"bad", "NONSENSE"),
        (b"3", "KEY_REFUSED"),
    ]
    assert letters[0].headers["dlq_offset"] == "1"
    assert sorted(await bench.effects()) == ["j:other", "k:1"]
    await bench.stop()
    await bench.plain("4")
    bench.start()
    await eventually(lambda: bench.stats.refused == 2)
    await bench.stop()
    async with bench.store.transaction() as tx:
        ledger = Ledger("g")
        assert await ledger.release(tx.connection, "plain", "k")
        assert not await ledger.release(tx.connection, "plain", "k")
    await bench.plain("5")
    bench.start()
    await eventually(lambda: bench.stats.applied == 3)
    assert "k:5" in await bench.effects()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (NewRecord("plain", "k", b"v"), "EVENT_ID_MISSING"),
        (NewRecord("state", "k", b"v"), "VERSION_MISSING"),
        (NewRecord("state", "k", None, {"version": "x"}), "VERSION_MISSING"),
    ],
)
async def test_a_record_without_its_envelope_is_poison(
    bench: Bench, eventually: Eventually, record: NewRecord, reason: str
) -> None:
    await bench.log.publish([record])
    bench.start()
    await eventually(lambda: bench.stats.poison == 1)
    letters = await bench.dead_letters(record.topic)
    assert [r.headers["dlq_reason"] for r in letters] == [reason]
    assert await bench.effects() == []


async def test_a_bug_is_tried_three_times_and_then_poison(
    bench: Bench, eventually: Eventually
) -> None:
    bench.trouble[b"once"] = [KeyError("x")]
    bench.trouble[b"always"] = [KeyError("x") for _ in range(3)]
    await bench.plain("once", key="j")
    await bench.plain("always")
    bench.start()
    await eventually(lambda: bench.stats.poison == 1 and bench.stats.applied == 1)
    assert await bench.effects() == ["j:once"]
    letter = (await bench.dead_letters())[0]
    assert letter.headers["dlq_reason"] == "HANDLER_FAILED"
    assert letter.headers["dlq_detail"] == "KeyError: 'x'"


async def test_stops_when_too_much_is_poison(bench: Bench) -> None:
    for i in range(6):
        bench.trouble[b"%d" % i] = [PoisonRecord("BAD_RELEASE")]
        await bench.plain(str(i), key=f"k{i}")
    policy = ConsumePolicy(poison=PoisonLimit(in_a_row=5))
    with pytest.raises(ConsumerStopped, match="5 in a row"):
        await asyncio.wait_for(bench.start(policy), 10)
    assert len(await bench.dead_letters()) == 5


async def test_waits_out_an_outage_of_the_log(bench: Bench, eventually: Eventually) -> None:
    await bench.plain("1")
    bench.log.outage = True
    bench.start()
    await eventually(lambda: bench.stats.retried > 2)
    bench.log.outage = False
    await eventually(lambda: bench.stats.applied == 1)


async def test_offsets_that_could_not_be_committed_go_with_the_next(
    bench: Bench, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    in_handler = asyncio.Event()
    original = bench.handle

    async def handle(record: Record, tx: Transaction) -> None:
        await original(record, tx)
        bench.log.outage = record.value == b"1"
        in_handler.set()

    bench.handle = handle  # type: ignore[method-assign]
    await bench.plain("1")
    bench.start()
    await in_handler.wait()
    await eventually(lambda: "not committed yet" in caplog.text)
    bench.log.outage = False
    await bench.plain("2")
    await eventually(lambda: bench.stats.applied == 2)
    await bench.stop()
    assert not await (await bench.log.join("g", ["plain"])).poll(10, 0.0)


async def test_offsets_are_committed_ten_times_a_second(
    bench: Bench, eventually: Eventually
) -> None:
    bench.start(ConsumePolicy(max_records=1, poll_s=0.05))
    began_s = time.monotonic()
    await bench.plain(*[str(i) for i in range(60)])
    await eventually(lambda: bench.stats.applied == 60)
    took_s = time.monotonic() - began_s
    assert bench.log.commits <= 1 + took_s / ConsumePolicy().commit_every_s
    await eventually(lambda: bench.log.commits > 0)
    before = bench.log.commits
    await bench.plain("alone")
    await eventually(lambda: bench.log.commits > before)  # nothing comes behind it
    await bench.stop()
    assert not await (await bench.log.join("g", ["plain"])).poll(10, 0.0)


async def test_a_consumer_that_is_stopped_commits_what_is_done(
    bench: Bench, eventually: Eventually
) -> None:
    bench.start(ConsumePolicy(max_records=1, poll_s=0.05))
    await bench.plain("1", "2", "3")
    await eventually(lambda: bench.stats.applied == 3)
    await bench.stop()
    assert not await (await bench.log.join("g", ["plain"])).poll(10, 0.0)


async def test_one_event_twice_in_a_batch_has_one_effect(
    bench: Bench, eventually: Eventually
) -> None:
    await bench.plain("1", "1", "2")
    bench.start()
    await eventually(lambda: bench.stats.seen == 1)
    assert await bench.effects() == ["k:1", "k:2"]


async def test_a_lost_partition_is_left_to_its_new_holder(
    bench: Bench, eventually: Eventually
) -> None:
    bench.topics = ["plain"]
    first, gate = asyncio.Event(), asyncio.Event()
    original = bench.handle

    async def handle(record: Record, tx: Transaction) -> None:
        first.set()
        await gate.wait()
        await original(record, tx)

    bench.handle = handle  # type: ignore[method-assign]
    for i in range(10):
        await bench.plain(str(i), key=f"k{i}")
    bench.start()
    await first.wait()
    other = await bench.log.join("g", ["plain"])
    gate.set()
    theirs = await other.poll(100, 0.0)
    ours = 10 - len(theirs)
    assert 0 < ours < 10
    await eventually(lambda: bench.stats.applied >= ours)
    assert bench.stats.applied <= ours + 1  # the one in hand may be of a lost partition
    with suppress(LogFenced):
        await other.commit([Position(r.topic, r.partition, r.offset) for r in theirs])
    assert len(await bench.effects()) == bench.stats.applied


async def test_who_loses_its_name_says_so_and_its_successor_goes_on(
    bench: Bench, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    first = bench.start(member="owner")
    await bench.plain("1")
    await eventually(lambda: bench.stats.applied == 1)
    bench.stats = ConsumeStats()
    second = bench.start(member="owner")
    with pytest.raises(LogFenced, match="another member is 'owner' now"):
        await asyncio.wait_for(first, 10)
    assert "another member is 'owner' now; this one leaves" in caplog.text
    await bench.plain("2")
    await eventually(lambda: bench.stats.applied == 1)
    assert not second.done()
    assert await bench.effects() == ["k:1", "k:2"]


async def test_cancellation_rolls_back_what_is_in_hand(bench: Bench) -> None:
    in_handler = asyncio.Event()

    async def handle(record: Record, tx: Transaction) -> None:
        await tx.connection.execute(insert(effects).values(what="half"))
        in_handler.set()
        await asyncio.Event().wait()

    bench.handle = handle  # type: ignore[method-assign]
    await bench.plain("1")
    bench.start()
    await in_handler.wait()
    await bench.stop()
    assert await bench.effects() == []
    assert len(await (await bench.log.join("g", ["plain"])).poll(10, 0.0)) == 1


async def test_without_a_store_the_handler_gets_no_transaction(
    bench: Bench, eventually: Eventually
) -> None:
    seen: list[Any] = []

    async def act(record: Record, tx: None) -> None:
        if record.value == b"bad":
            raise PoisonRecord("NONSENSE")
        seen.append((record.value, tx))

    await bench.plain("1", "bad", "2")
    await bench.plain("3", key="j")
    stats = ConsumeStats()
    running = consume(
        bench.log, "h", ["plain"], act, store=None, clock=SystemClock(), policy=FAST, stats=stats
    )
    bench.task = asyncio.create_task(running)
    await eventually(lambda: stats.refused == 1 and stats.applied == 2)
    assert sorted(seen) == [(b"1", None), (b"3", None)]


async def test_an_unknown_topic_is_said_at_once(bench: Bench) -> None:
    with pytest.raises(UnknownTopic):
        await consume(
            bench.log, "g", ["never"], bench.handle, store=bench.store, clock=SystemClock()
        )


async def test_old_event_ids_are_forgotten(bench: Bench, clock: ManualClock) -> None:
    ledger = Ledger("g")
    async with bench.store.transaction() as tx:
        await ledger.note_events(tx.connection, {f"e{i}": clock.now() for i in range(10)})
    await clock.advance(1)
    async with bench.store.transaction() as tx:
        await ledger.note_events(tx.connection, {"young": clock.now()})
        assert await ledger.prune(tx.connection, clock.now()) == 10
        assert await ledger.prune(tx.connection, clock.now()) == 0
