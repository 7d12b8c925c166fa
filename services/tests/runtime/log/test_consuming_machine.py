"""Consumer, dead letters and replay against a model: whatever is published and whatever breaks in
between, every event has one effect, in the order of its key, and poison lies aside with its origin.

The handler is wrong about some values until it is mended. Everything that leaves the consumer may
fail at any call: a transaction before or after its commit, the commit of offsets, the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.consuming import ConsumePolicy, InBatches, consume
from inyeon.runtime.log.letters import read_letters
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.poison import PoisonLimit, PoisonRecord
from inyeon.runtime.log.port import GroupConsumer, NewRecord, Position, Record, TopicSpec
from inyeon.runtime.log.replaying import Selection, replay_waiting
from inyeon.runtime.log.topics import dlq_spec
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore, temporary_store
from inyeon.runtime.store.tables import runtime_tables

pytestmark = pytest.mark.unit

TABLES = runtime_tables(MetaData())
effects = Table(
    "effects",
    TABLES,
    Column("n", Integer, primary_key=True),
    Column("topic", Text),
    Column("key", Text),
    Column("value", Text),
)
TOPICS = (TopicSpec("plain", 2), TopicSpec("state", 2, compacted=True))
POLICY = ConsumePolicy(
    commit_every_s=0.0,
    max_records=8,
    poll_s=0.01,
    attempts=2,
    first_backoff_s=0.0001,
    longest_backoff_s=0.0002,
    poison=PoisonLimit(in_a_row=1_000_000, judged_from=1_000_000),
)


class Crash(BaseException):
    """The process is gone, at this very call."""


@dataclass
class Faults:
    """Which calls fail, by their number, and how."""

    plan: dict[int, str] = field(default_factory=dict)
    calls: int = 0

    def next(self) -> str:
        self.calls += 1
        return self.plan.get(self.calls, "")


class BreakingStore:
    """A store whose transactions may fail before or after their commit."""

    def __init__(self, store: SqlStore, faults: Faults) -> None:
        self._store, self._faults = store, faults

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        fault = self._faults.next()
        async with self._store.transaction() as tx:
            yield tx
            if fault == "before":
                raise Crash
            if fault == "away":
                raise LogUnavailable("something that the handler needs is away")
        if fault == "after":
            raise Crash

    @asynccontextmanager
    async def reading(self, *, once: bool = False) -> AsyncIterator[AsyncConnection]:
        async with self._store.reading(once=once) as connection:
            yield connection

    async def close(self) -> None:
        pass


class BreakingMember:
    """A member whose commits may be lost."""

    def __init__(self, member: GroupConsumer, faults: Faults) -> None:
        self._member, self._faults = member, faults
        self.poll, self.mark = member.poll, member.mark
        self.assigned, self.close = member.assigned, member.close

    async def commit(self, positions: Sequence[Position]) -> None:
        fault = self._faults.next()
        if fault == "before":
            raise Crash
        if fault == "away":
            raise LogUnavailable("away")
        await self._member.commit(positions)
        if fault == "after":
            raise Crash


class BreakingLog(MemoryLog):
    """A log that may fail before or after it has appended."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self.faults = faults

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        fault = self.faults.next()
        if fault == "before":
            raise Crash
        if fault == "away":
            raise LogUnavailable("away")
        positions = await super().publish(records)
        if fault == "after":
            raise Crash
        return positions

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        joined = await super().join(group, topics, start_from, member)
        return BreakingMember(joined, self.faults)


@dataclass
class World:
    """What was published, and the system that consumes it."""

    log: BreakingLog
    store: SqlStore
    faults: Faults
    batches: bool
    broken: bool = True
    sent: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    count: int = 0

    async def publish(self, kind: str, key: str) -> None:
        """Publishing itself never fails here: that is the relay's business."""
        plan, self.faults.plan = self.faults.plan, {}
        self.count += 1
        topic = "state" if kind.startswith("state") else "plain"
        known = self.sent.setdefault((topic, key), [])
        number, value = self.count, f"{'bad' if kind.endswith('bad') else 'good'}-{self.count}"
        if kind in ("again", "state-old") and known:
            topic_known = known[0 if kind == "state-old" else -1]
            number, value = topic_known
        headers = {"event_id": f"e{number}", "version": str(number)}
        await self.log.publish([NewRecord(topic, key, value.encode(), headers)])
        if (number, value) not in known:
            known.append((number, value))
        self.faults.plan = plan

    async def handle(self, record: Record, tx: Transaction) -> None:
        value = (record.value or b"").decode()
        row = {"topic": record.topic, "key": record.key, "value": value}
        await tx.connection.execute(insert(effects).values(row))
        if self.broken and value.startswith("bad"):
            raise PoisonRecord("NONSENSE") if int(value[4:]) % 2 else KeyError(value)

    async def handle_all(self, records: Sequence[Record], tx: Transaction) -> None:
        for record in records:
            await self.handle(record, tx)

    async def consume_all(self) -> None:
        """Runs consumers, each until it crashes, and the last one until nothing is left."""
        while not await self._one_life():
            pass

    async def _one_life(self) -> bool:
        handler = InBatches(self.handle_all) if self.batches else self.handle
        running = consume(
            self.log,
            "g",
            [spec.name for spec in TOPICS],
            handler,
            store=BreakingStore(self.store, self.faults),
            clock=SystemClock(),
            state_topics={"state"},
            policy=POLICY,
        )
        task = asyncio.create_task(_caught(running))
        await asyncio.sleep(0)  # a coroutine that is never begun would complain
        try:
            async with asyncio.timeout(20):
                while not task.done() and not await self._is_idle():
                    await asyncio.wait([task], timeout=0.002)
        finally:
            crashed = task.done() and task.result()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return not crashed

    async def _is_idle(self) -> bool:
        places = [(t.name, p) for t in TOPICS for p in range(t.partitions)]
        return await self.log.ends(places) == await self.log.starts("g", places, None)

    async def replay_all(self) -> None:
        """Replays and consumes until nothing waits, whatever crashes meanwhile."""
        for _ in range(60):
            for spec in TOPICS:
                with suppress(Crash, LogUnavailable):
                    await replay_waiting(self.log, spec, Selection(), SystemClock())
            await self.consume_all()
            if not [x for s in TOPICS for x in (await read_letters(self.log, s.name)).waiting]:
                return
        raise AssertionError("letters wait for ever")

    async def effects(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        async with self.store.reading() as connection:
            for row in await connection.execute(select(effects).order_by(effects.c.n)):
                found.setdefault((row.topic, row.key), []).append(row.value)
        return found

    def wanted(self, until_bad: bool) -> dict[tuple[str, str], list[str]]:
        """Effects of each key in order; while the handler is broken nothing from the first bad
        value on."""
        found = {}
        for place, records in self.sent.items():
            values = [value for _, value in records]
            if until_bad:
                stop = next((i for i, v in enumerate(values) if v.startswith("bad")), len(values))
                values = values[:stop]
            if values:
                found[place] = values
        return found


async def _caught(running: Awaitable[None]) -> bool:
    try:
        await running
    except Crash:
        return True
    return False


KINDS = st.sampled_from(
    ["good", "good", "bad", "again", "state", "state", "state-bad", "state-old"]
)
STEPS = st.lists(
    st.one_of(st.tuples(KINDS, st.sampled_from("abc")), st.just("consume")), max_size=25
)
FAULTS = st.dictionaries(
    st.integers(1, 60), st.sampled_from(["before", "after", "away"]), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, plan=FAULTS, batches=st.booleans(), late=st.sampled_from("abc"))
def test_one_effect_for_each_event_in_the_order_of_its_key(
    steps: list[tuple[str, str] | str], plan: dict[int, str], batches: bool, late: str
) -> None:
    asyncio.run(_live(steps, plan, batches, late))


async def _live(
    steps: list[tuple[str, str] | str], plan: dict[int, str], batches: bool, late: str
) -> None:
    faults = Faults()
    log = BreakingLog(faults)
    await log.create_topics([*TOPICS, *(dlq_spec(spec.name) for spec in TOPICS)])
    async with temporary_store(TABLES) as store:
        world = World(log, store, faults, batches)
        faults.plan = dict(plan)
        for step in steps:
            if isinstance(step, tuple):
                await world.publish(*step)
            else:
                await world.consume_all()
        await world.consume_all()
        assert await world.effects() == world.wanted(until_bad=True)
        await _origins_are_right(world)
        world.broken = False
        await world.publish("good", late)  # published before the replay, consumed with it
        await world.publish("state", late)
        await world.replay_all()
        assert await world.effects() == world.wanted(until_bad=False)
        await world.publish("good", late)
        await world.consume_all()
        assert await world.effects() == world.wanted(until_bad=False)
    await log.close()


async def _origins_are_right(world: World) -> None:
    for spec in TOPICS:
        records = await (await world.log.read_all([spec.name])).poll(10_000, 0.0)
        there = {(r.partition, r.offset): (r.key, r.value) for r in records}
        for letter in (await read_letters(world.log, spec.name)).waiting:
            assert there[letter.origin] == (letter.key, letter.record.value)
            assert letter.group == "g"
            assert letter.reason in ("NONSENSE", "HANDLER_FAILED", "KEY_REFUSED")


def test_the_faults_do_happen() -> None:
    """Guards the machine itself: a plan that hits every call must crash consumers."""

    async def crash() -> int:
        faults = Faults(dict.fromkeys(range(1, 20), "after"))
        log = BreakingLog(faults)
        await log.create_topics(TOPICS)
        async with temporary_store(TABLES) as store:
            async with store.transaction() as tx:
                await tx.connection.execute(delete(effects))
            world = World(log, store, faults, batches=False)
            await world.publish("good", "a")
            await world.consume_all()
            assert await world.effects() == {("plain", "a"): ["good-1"]}
        return faults.calls

    assert asyncio.run(crash()) >= 20
