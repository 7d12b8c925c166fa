"""Both logs against a model: a dictionary of lists.

The model knows what was published where, what each group has committed and which records upkeep may
drop. After every step a group that starts anew reads exactly what the model says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import LogFenced
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import GroupConsumer, Log, NewRecord, Position, Record, TopicSpec
from inyeon.runtime.log.records import partition_of

pytestmark = pytest.mark.unit

PARTITIONS = 2
SPECS = (
    TopicSpec("plain", PARTITIONS),
    TopicSpec("kept", PARTITIONS, retention=timedelta(seconds=60)),
    TopicSpec("state", PARTITIONS, compacted=True),
)
TOPICS = [spec.name for spec in SPECS]
TOMBSTONE_KEPT = timedelta(seconds=60)

Place = tuple[str, int]
keys = st.sampled_from(["a", "b", "c", "д", "🙂"])
members = st.sampled_from(["one", "two", "three"])


@dataclass
class _Entry:
    offset: int
    key: str
    value: bytes | None
    at_s: float


@dataclass
class _Model:
    records: dict[Place, list[_Entry]] = field(
        default_factory=lambda: {(t, p): [] for t in TOPICS for p in range(PARTITIONS)}
    )
    ends: dict[Place, int] = field(default_factory=dict)
    committed: dict[Place, int] = field(default_factory=dict)

    def append(self, topic: str, key: str, value: bytes | None, at_s: float) -> Position:
        place = (topic, partition_of(key, PARTITIONS))
        offset = self.ends.get(place, 0)
        self.ends[place] = offset + 1
        self.records[place].append(_Entry(offset, key, value, at_s))
        return Position(*place, offset)

    def upkeep(self, now_s: float) -> None:
        for (topic, _), entries in self.records.items():
            if topic == "kept":
                entries[:] = [e for e in entries if e.at_s >= now_s - 60]
            if topic == "state":
                newest = {e.key: e.offset for e in entries}
                entries[:] = [
                    e
                    for e in entries
                    if newest[e.key] == e.offset
                    and (e.value is not None or e.at_s >= now_s - TOMBSTONE_KEPT.total_seconds())
                ]


class LogMachine(RuleBasedStateMachine):
    """One log in memory; see `EmbeddedMachine` for the one in a file, which also closes and opens
    again."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.model = _Model()
        self.members: dict[str, GroupConsumer] = {}
        self.count = 0

    async def open(self) -> Log:
        return MemoryLog(self.clock, TOMBSTONE_KEPT)

    @initialize()
    def begins(self) -> None:
        self.log = self.runner.run(self.open())
        self.runner.run(self.log.create_topics(SPECS))

    @rule(
        batch=st.lists(st.tuples(st.sampled_from(TOPICS), keys, st.booleans()), max_size=6),
    )
    def publish(self, batch: Sequence[tuple[str, str, bool]]) -> None:
        new, expected = [], []
        for topic, key, gone in batch:
            self.count += 1
            value = None if gone and topic == "state" else str(self.count).encode()
            new.append(NewRecord(topic, key, value))
            expected.append(self.model.append(topic, key, value, self.clock.monotonic()))
        assert list(self.runner.run(self.log.publish(new))) == expected

    @precondition(lambda self: len(self.members) < 3)
    @rule(name=members)
    def join(self, name: str) -> None:
        if name not in self.members:
            self.members[name] = self.runner.run(self.log.join("g", TOPICS))

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.members)))
        self.runner.run(self.members.pop(name).close())

    @precondition(lambda self: self.members)
    @rule(data=st.data(), most=st.integers(1, 8), commits=st.booleans())
    def poll(self, data: st.DataObject, most: int, commits: bool) -> None:
        member = self.members[data.draw(st.sampled_from(sorted(self.members)))]
        got = self.runner.run(member.poll(most, 0.0))
        assert len(got) <= most
        for record in got:
            assert (record.topic, record.partition) in member.assigned()
            assert self._in_model(record)
        if commits and got:
            positions = [Position(r.topic, r.partition, r.offset) for r in got]
            self.runner.run(member.commit(positions))
            for p in positions:
                self.model.committed[p.topic, p.partition] = p.offset + 1

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def commit_of_a_stranger_is_fenced(self, data: st.DataObject) -> None:
        member = self.members[data.draw(st.sampled_from(sorted(self.members)))]
        others = sorted(set(self.model.records) - member.assigned())
        if others:
            place = data.draw(st.sampled_from(others))
            with pytest.raises(LogFenced):
                self.runner.run(member.commit([Position(*place, 1_000)]))

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def time_passes(self, seconds: int) -> None:
        self.runner.run(self.clock.advance(seconds))

    @rule()
    def maintain(self) -> None:
        self.runner.run(self.log.maintain())
        self.model.upkeep(self.clock.monotonic())

    @invariant()
    def every_partition_has_one_holder(self) -> None:
        held = sorted(place for member in self.members.values() for place in member.assigned())
        assert held == (sorted(self.model.records) if self.members else [])

    def teardown(self) -> None:
        try:
            self.runner.run(self._everything_is_there())
        finally:
            self.runner.run(self.log.close())
            self.runner.close()

    async def _everything_is_there(self) -> None:
        reader = await self.log.read_all(TOPICS)
        found: dict[Place, list[Record]] = {place: [] for place in self.model.records}
        while not await reader.caught_up():
            for record in await reader.poll(5, 0.0):
                found[record.topic, record.partition].append(record)
        await reader.close()
        for place, entries in self.model.records.items():
            got = [(r.offset, r.key, r.value) for r in found[place]]
            assert got == [(e.offset, e.key, e.value) for e in entries]
        await self._the_group_goes_on_where_it_committed()

    async def _the_group_goes_on_where_it_committed(self) -> None:
        for member in self.members.values():
            await member.close()
        member = await self.log.join("g", TOPICS)
        found: dict[Place, list[int]] = {place: [] for place in self.model.records}
        while records := await member.poll(1_000, 0.0):
            for record in records:
                found[record.topic, record.partition].append(record.offset)
        for place, entries in self.model.records.items():
            start = self.model.committed.get(place, 0)
            assert found[place] == [e.offset for e in entries if e.offset >= start]

    def _in_model(self, record: Record) -> bool:
        entries = self.model.records[record.topic, record.partition]
        wanted = (record.offset, record.key, record.value)
        return wanted in [(e.offset, e.key, e.value) for e in entries]


class EmbeddedMachine(LogMachine):
    """The log in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    async def open(self) -> Log:
        path = Path(self.folder.name) / "log.db"
        return await EmbeddedLog.open(path, self.clock, TOMBSTONE_KEPT)

    @rule()
    def close_and_open_again(self) -> None:
        self.runner.run(self.log.close())
        self.members.clear()
        self.log = self.runner.run(self.open())

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMemoryMachine = LogMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestEmbeddedMachine = EmbeddedMachine.TestCase
TestEmbeddedMachine.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
