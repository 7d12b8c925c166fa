"""Dead letters come back in order, once, and only for the group that refused them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogUnavailable, TopicMismatch
from inyeon.runtime.log.consuming import ConsumePolicy, ConsumeStats, consume
from inyeon.runtime.log.letters import MARK, read_letters
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.poison import PoisonLimit, PoisonRecord
from inyeon.runtime.log.port import NewRecord, Position, Record, TopicSpec
from inyeon.runtime.log.records import partition_of
from inyeon.runtime.log.replaying import Selection, partition_key_for, replay_waiting
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import dead_keys, runtime_tables

pytestmark = pytest.mark.unit

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
TABLES = runtime_tables(MetaData())
effects = Table(
    "effects",
    TABLES,
    Column("n", Integer, primary_key=True),
    Column("consumer", Text),
    Column("what", Text),
)
PLAIN = TopicSpec("plain", 3)
STATE = TopicSpec("state", 3, compacted=True)
ALL = Selection()


class World:
    """One log and store; consumers refuse the values in `bad`."""

    def __init__(self, log: MemoryLog, store: SqlStore) -> None:
        self.log, self.store = log, store
        self.bad: set[bytes] = set()
        self.sent = 0

    async def send(
        self, *values: str, key: str = "k", headers: Mapping[str, str] | None = None
    ) -> None:
        for value in values:
            self.sent += 1
            own = {"event_id": f"id-{self.sent}"} | dict(headers or {})
            await self.log.publish([NewRecord("plain", key, value.encode(), own)])

    async def run(self, group: str = "g") -> ConsumeStats:
        """Consumes until nothing is left."""

        async def handle(record: Record, tx: Transaction) -> None:
            if record.value in self.bad:
                raise PoisonRecord("NONSENSE")
            what = f"{record.key}:{(record.value or b'-').decode()}"
            await tx.connection.execute(insert(effects).values(consumer=group, what=what))

        stats = ConsumeStats()
        policy = ConsumePolicy(poll_s=0.02, poison=PoisonLimit(in_a_row=10_000))
        task = asyncio.create_task(
            consume(
                self.log,
                group,
                ["plain", "state"],
                handle,
                store=self.store,
                clock=SystemClock(),
                state_topics={"state"},
                policy=policy,
                stats=stats,
            )
        )
        await self._idle(group, task)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return stats

    async def _idle(self, group: str, task: asyncio.Task[None]) -> None:
        places = [(t.name, p) for t in (PLAIN, STATE) for p in range(t.partitions)]
        async with asyncio.timeout(10):
            while not task.done():
                ends = await self.log.ends(places)
                if ends == await self.log.starts(group, places, None):
                    return
                await asyncio.sleep(0.002)
        task.result()

    async def replay(self, selection: Selection = ALL, spec: TopicSpec = PLAIN) -> tuple[int, int]:
        done = await replay_waiting(self.log, spec, selection, SystemClock())
        return done.replayed, done.discarded

    async def effects(self, group: str = "g", key: str = "k") -> list[str]:
        async with self.store.reading() as connection:
            chosen = select(effects.c.what).where(effects.c.consumer == group)
            rows = (await connection.execute(chosen.order_by(effects.c.n))).scalars()
            return [what.partition(":")[2] for what in rows if what.startswith(f"{key}:")]

    async def dead(self) -> list[str]:
        async with self.store.reading() as connection:
            return list((await connection.execute(select(dead_keys.c.key))).scalars())

    async def waiting(self) -> list[bytes | None]:
        found = await read_letters(self.log, "plain")
        return [x.record.value for x in found.waiting]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def world(open_store: OpenStore) -> AsyncIterator[World]:
    log = MemoryLog()
    await log.create_topics([PLAIN, STATE])
    async with open_store(TABLES) as store:
        yield World(log, store)
    await log.close()


async def test_all_letters_of_a_key_come_back_in_order_and_release_it(world: World) -> None:
    world.bad = {b"2"}
    await world.send("1", "2", "3", "4")
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1"], ["k"])
    world.bad = set()
    assert await world.replay() == (3, 0)
    assert await world.effects() == ["1"]  # the consumer does it, not the tool
    await world.send("5")
    stats = await world.run()
    assert await world.effects() == ["1", "2", "3", "4", "5"]
    assert (stats.refused, await world.dead()) == (0, [])


async def test_replaying_twice_does_nothing_twice(world: World) -> None:
    world.bad = {b"1"}
    await world.send("1", "2")
    await world.run()
    world.bad = set()
    assert await world.replay() == (2, 0)
    assert await world.replay() == (0, 0)
    await world.run()
    assert await world.effects() == ["1", "2"]
    assert (await read_letters(world.log, "plain")).done == 2


async def test_what_was_published_before_the_replay_waits_for_the_next(world: World) -> None:
    world.bad = {b"1"}
    await world.send("1", "2")
    await world.run()
    world.bad = set()
    await world.send("3")  # in the topic, not consumed yet
    await world.replay()
    await world.send("4")
    assert (await world.run()).refused == 2
    assert (await world.effects(), await world.dead()) == (["1", "2"], ["k"])
    assert await world.replay() == (2, 0)
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1", "2", "3", "4"], [])


async def test_a_letter_that_is_still_poison_takes_its_followers_back(world: World) -> None:
    world.bad = {b"2"}
    await world.send("1", "2", "3")
    await world.run()
    await world.replay()
    await world.send("4")
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1"], ["k"])
    world.bad = set()
    assert await world.replay() == (3, 0)
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1", "2", "3", "4"], [])


@pytest.mark.parametrize("outage_after", [1, 2, 3, 4])
async def test_a_crash_in_the_middle_of_a_replay_is_made_good_by_the_next(
    world: World, outage_after: int
) -> None:
    world.bad = {b"1"}
    await world.send("1", "2", "3")
    await world.run()
    world.bad = set()
    publish, calls = world.log.publish, 0

    async def failing(records: list[NewRecord]) -> object:
        nonlocal calls
        calls += 1
        if calls == outage_after:
            raise LogUnavailable("gone")
        return await publish(records)

    world.log.publish = failing  # type: ignore[assignment]
    with pytest.raises(LogUnavailable):
        await world.replay()
    world.log.publish = publish  # type: ignore[method-assign]
    await world.run()
    await world.send("4")
    await world.run()
    await world.replay()
    await world.run()
    await world.replay()
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1", "2", "3", "4"], [])


async def test_only_the_group_that_refused_takes_it(world: World) -> None:
    await world.send("1", "2")
    await world.run("healthy")
    world.bad = {b"1"}
    await world.run("g")
    world.bad = set()
    assert await world.replay(Selection(group="healthy")) == (0, 0)
    await world.replay(Selection(group="g"))
    assert (await world.run("healthy")).seen == 2
    await world.run("g")
    assert await world.effects("healthy") == await world.effects("g") == ["1", "2"]


async def test_selects_keys_by_name_reason_and_number(world: World) -> None:
    world.bad = {b"1", b"7"}
    await world.send("1", "2", "3")
    await world.send("7", "8", key="j")
    await world.run()
    world.bad = set()
    assert await world.replay(Selection(key="nobody")) == (0, 0)
    assert await world.replay(Selection(reason="OTHER")) == (0, 0)
    assert await world.replay(Selection(key="j")) == (2, 0)
    assert await world.replay(Selection(reason="NONSENSE", limit=2)) == (2, 0)
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1", "2"], ["k"])
    assert await world.replay(Selection(limit=5)) == (1, 0)
    await world.run()
    assert (await world.effects(), await world.effects(key="j")) == (["1", "2", "3"], ["7", "8"])
    assert await world.dead() == []


async def test_garbage_is_given_up_and_its_followers_come_back(world: World) -> None:
    world.bad = {b"1", b"4"}
    await world.send("1", "2", "3")
    await world.send("4", key="alone")
    await world.run()
    assert await world.replay(Selection(reason="NONSENSE", discard=True)) == (2, 2)
    await world.send("5", key="alone")
    await world.run()
    assert (await world.effects(), await world.effects(key="alone")) == (["2", "3"], ["5"])
    assert (await world.dead(), await world.waiting()) == ([], [])


async def test_comes_to_the_partition_that_it_came_from(world: World) -> None:
    world.bad = {b"1"}
    away = (partition_of("k", 3) + 1) % 3
    record = NewRecord("plain", "k", b"1", {"event_id": "x"}, partition_key_for(away, 3))
    await world.log.publish([record])
    await world.run()
    world.bad = set()
    await world.replay()
    records = await (await world.log.read_all(["plain"])).poll(10, 0.0)
    assert [r.partition for r in records] == [away, away]
    assert records[1].headers["replayed_from"] == f"{away}@0"
    await world.run()
    assert (await world.effects(), await world.dead()) == (["1"], [])


async def test_says_when_the_topic_is_not_as_it_is_known(world: World) -> None:
    world.bad = {b"1"}
    key = next(f"k{i}" for i in range(99) if partition_of(f"k{i}", 3) == 2)
    await world.send("1", key=key)
    await world.run()
    with pytest.raises(TopicMismatch):
        await world.replay(spec=TopicSpec("plain", 2))


async def test_state_comes_back_with_its_tombstones(world: World) -> None:
    world.bad = {b"v2"}
    for version, value in ((1, b"v1"), (2, b"v2"), (3, None)):
        headers = {"version": str(version), "event_id": f"{version}"}
        await world.log.publish([NewRecord("state", "k", value, headers)])
    await world.run()
    world.bad = set()
    assert await world.replay(spec=STATE) == (2, 0)
    await world.run()
    assert (await world.effects(), await world.dead()) == (["v1", "v2", "-"], [])


async def test_a_cut_letter_waits_until_it_is_given_up(world: World) -> None:
    huge = Record("plain", 0, 0, "k", b"x" * 300_000, {"event_id": "h"}, SystemClock().now())
    follower = Record("plain", 0, 1, "k", b"2", {"event_id": "f"}, SystemClock().now())
    from inyeon.runtime.log.poison import dead_letter

    await world.log.create_topics([TopicSpec("plain.dlq", 1)])
    poison = PoisonRecord("VALUE_UNDECODABLE")
    await world.log.publish([dead_letter(r, "g", poison) for r in (huge, follower)])
    assert await world.replay() == (0, 0)
    done = await world.replay(Selection(key="k", discard=True))
    assert done == (0, 2)


async def test_letters_that_are_none_are_counted_and_passed_over(world: World) -> None:
    await world.log.create_topics([TopicSpec("plain.dlq", 1)])
    strange: tuple[dict[str, str], ...] = (
        {},
        {"dlq_partition": "x"},
        {MARK: "nonsense"},
        {MARK: "0@9"},
    )
    await world.log.publish([NewRecord("plain.dlq", "k", b"v", h) for h in strange])
    found = await read_letters(world.log, "plain")
    assert (found.waiting, found.done, found.strange) == ((), 0, 2)


async def test_without_a_store_dead_keys_are_released_too(
    world: World, eventually: Eventually
) -> None:
    seen: list[bytes | None] = []

    async def act(record: Record, _: None) -> None:
        if record.value in world.bad:
            raise PoisonRecord("NONSENSE")
        seen.append(record.value)

    world.bad = {b"1"}
    await world.send("1", "2")
    stats, clock = ConsumeStats(), SystemClock()
    policy = ConsumePolicy(poll_s=0.02)
    running = consume(
        world.log, "m", ["plain"], act, store=None, clock=clock, policy=policy, stats=stats
    )
    task = asyncio.create_task(running)
    await eventually(lambda: stats.refused == 1)
    world.bad = set()
    await world.replay()
    await eventually(lambda: stats.applied == 2)
    await world.send("3")
    await eventually(lambda: stats.applied == 3)
    assert (seen, stats.refused) == ([b"1", b"2", b"3"], 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_partition_keys_lead_where_they_say() -> None:
    for partitions in (1, 4, 12):
        for partition in range(partitions):
            assert partition_of(partition_key_for(partition, partitions), partitions) == partition
    with pytest.raises(ValueError, match="partition 4 of 4"):
        partition_key_for(4, 4)


async def test_marks_are_kept_with_their_letters(world: World) -> None:
    world.bad = {b"1"}
    await world.send("1")
    await world.run()
    assert await world.waiting() == [b"1"]
    await world.replay()
    await world.run()  # still poison: a new letter of the same record, younger than the mark
    assert await world.waiting() == [b"1"]
    positions = await world.log.publish([])
    assert list(positions) == list[Position]()
