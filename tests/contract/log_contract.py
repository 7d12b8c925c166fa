"""What every log must do. An adapter's test module subclasses `LogContract` and gives it a log;
every test uses only the port.

    class TestKafkaLog(LogContract):
        upkeep_is_ours = False

        @pytest.fixture
        async def log(self) -> AsyncIterator[Log]: ...

Topics and groups have fresh names in every test, so that all of them may run on one broker.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from inyeon.runtime.errors import (
    InvalidRecord,
    LogFenced,
    LogUnavailable,
    RecordTooLarge,
    TopicMismatch,
    UnknownTopic,
)
from inyeon.runtime.log.port import AllReader, GroupConsumer, Log, NewRecord, Record, TopicSpec
from inyeon.runtime.log.records import RECORD_LIMIT_BYTES, partition_of

PATIENCE_S = (
    15.0  # a broker's group may take 10 s to share its partitions out; ours take milliseconds
)


class LogContract(ABC):
    """Subclass it once for each adapter."""

    upkeep_is_ours: ClassVar[bool] = True
    """False where retention and compaction happen when the engine likes, not when `maintain` is
    called."""

    @pytest.fixture
    @abstractmethod
    def log(self) -> AsyncIterator[Log]:
        """An open log; its clock moves on only with `pass_time` where `upkeep_is_ours`."""

    async def pass_time(self, duration: timedelta) -> None:
        """Moves the log's clock; only called where `upkeep_is_ours`."""
        raise NotImplementedError

    async def test_keeps_the_order_of_a_partition(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        sent = [f"{i}".encode() for i in range(50)]
        positions = await log.publish(
            [NewRecord(topic, f"k{i % 7}", v) for i, v in enumerate(sent)]
        )
        member = await log.join(_name("g"), [topic])
        got = await _take(member, 50)
        assert [r.value for r in got] == sent
        assert [(r.topic, r.partition, r.offset) for r in got] == [
            (p.topic, p.partition, p.offset) for p in positions
        ]

    async def test_offsets_are_dense(self, log: Log) -> None:
        topic = await _topic(log, partitions=2)
        batches = [[NewRecord(topic, f"k{i}", b"v")] * 3 for i in range(10)]
        done = await asyncio.gather(*[log.publish(batch) for batch in batches])
        offsets: dict[int, list[int]] = {0: [], 1: []}
        for positions in done:
            for position in positions:
                offsets[position.partition].append(position.offset)
        assert all(sorted(found) == list(range(len(found))) for found in offsets.values())

    async def test_a_key_decides_its_partition(self, log: Log) -> None:
        topic = await _topic(log, partitions=4)
        keys = [f"user-{i}" for i in range(40)]
        positions = await log.publish([NewRecord(topic, key, b"v") for key in keys])
        assert [p.partition for p in positions] == [partition_of(key, 4) for key in keys]
        assert {p.partition for p in positions} == {0, 1, 2, 3}

    async def test_a_partition_key_goes_before_the_key(self, log: Log) -> None:
        topic = await _topic(log, partitions=8)
        records = [NewRecord(topic, f"t{i}", b"v", partition_key="pool") for i in range(20)]
        positions = await log.publish(records)
        assert {p.partition for p in positions} == {partition_of("pool", 8)}

    async def test_gives_back_what_it_was_given(self, log: Log) -> None:
        topic = await _topic(log, compacted=True)
        headers = {"event_id": "1", "Größe": "大きい", "empty": ""}
        before = datetime.now(UTC)
        await log.publish([NewRecord(topic, "사람\u0000\u200d🙂", b"\x00\xff", headers)])
        await log.publish([NewRecord(topic, "gone", None), NewRecord(topic, "empty", b"")])
        got = {r.key: r for r in await _take(await log.read_all([topic]), 3)}
        record = got["사람\u0000\u200d🙂"]
        assert (record.value, dict(record.headers)) == (b"\x00\xff", headers)
        assert record.published_at.tzinfo is not None
        assert self.upkeep_is_ours or record.published_at >= before - timedelta(seconds=5)
        assert (got["gone"].value, got["empty"].value) == (None, b"")

    async def test_publishing_nothing_is_fine(self, log: Log) -> None:
        assert list(await log.publish([])) == []

    async def test_refuses_an_unknown_topic(self, log: Log) -> None:
        with pytest.raises(UnknownTopic, match="never"):
            await log.publish([NewRecord("never", "k", b"v")])
        with pytest.raises(UnknownTopic, match="never"):
            await log.join(_name("g"), ["never"])
        with pytest.raises(UnknownTopic, match="never"):
            await log.read_all(["never"])

    async def test_refuses_other_partitions_for_an_existing_topic(self, log: Log) -> None:
        topic = await _topic(log, partitions=3)
        await log.create_topics([TopicSpec(topic, partitions=3)])
        with pytest.raises(TopicMismatch):
            await log.create_topics([TopicSpec(topic, partitions=4)])

    @pytest.mark.parametrize(
        ("record", "field"),
        [
            (NewRecord("", "", b"v"), "key"),
            (NewRecord("", "k" * 1_025, b"v"), "key"),
            (NewRecord("", "\ud800", b"v"), "key"),
            (NewRecord("", "k", b"v", {"a": "\ud800"}), "headers"),
            (NewRecord("", "k", b"v", partition_key="\udfff"), "partition_key"),
            (NewRecord("", "k", None), "value"),
        ],
    )
    async def test_names_the_field_of_a_bad_record(
        self, log: Log, record: NewRecord, field: str
    ) -> None:
        topic = await _topic(log)
        bad = NewRecord(topic, record.key, record.value, record.headers, record.partition_key)
        with pytest.raises(InvalidRecord) as refused:
            await log.publish([NewRecord(topic, "good", b"v"), bad])
        assert refused.value.field == field
        assert not await _leftover(log, topic)

    async def test_takes_a_record_of_the_limit_and_no_larger_one(self, log: Log) -> None:
        topic = await _topic(log)
        most = NewRecord(topic, "k", b"x" * (RECORD_LIMIT_BYTES - 3), {"h": "v"})
        await log.publish([most])
        with pytest.raises(RecordTooLarge):
            await log.publish([NewRecord(topic, "k", b"x" * (RECORD_LIMIT_BYTES - 2), {"h": "v"})])
        got = await _take(await log.read_all([topic]), 1)
        assert got[0].value == most.value

    async def test_an_empty_poll_ends_in_time(self, log: Log) -> None:
        topic = await _topic(log)
        reader = await log.read_all([topic])
        started_s = time.monotonic()
        assert list(await reader.poll(10, 0.0)) == []
        assert time.monotonic() - started_s < 2.0

    async def test_wakes_a_waiting_member(self, log: Log) -> None:
        topic = await _topic(log)
        member = await log.join(_name("g"), [topic])
        waiting = asyncio.create_task(member.poll(1, 60.0))
        await asyncio.sleep(0)
        await log.publish([NewRecord(topic, "k", b"v")])
        got = await asyncio.wait_for(waiting, PATIENCE_S)
        assert [r.value for r in got] == [b"v"]

    async def test_a_poll_gives_no_more_than_asked(self, log: Log) -> None:
        topic = await _topic(log, partitions=3)
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(30)])
        member = await log.join(_name("g"), [topic])
        sizes: list[int] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while sum(sizes) < 30 and time.monotonic() < deadline_s:
            sizes.append(len(await member.poll(7, 0.05)))
        assert sum(sizes) == 30
        assert max(sizes) <= 7

    async def test_a_group_goes_on_after_its_commit(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        group = _name("g")
        positions = await log.publish([NewRecord(topic, "k", f"{i}".encode()) for i in range(5)])
        member = await log.join(group, [topic])
        await _take(member, 5)
        await member.commit([positions[2]])
        await member.close()
        again = await log.join(group, [topic])
        assert [r.value for r in await _take(again, 2)] == [b"3", b"4"]

    async def test_what_was_not_committed_comes_again(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        group = _name("g")
        await log.publish([NewRecord(topic, "k", b"v")])
        member = await log.join(group, [topic])
        assert len(await _take(member, 1)) == 1
        await member.close()
        assert len(await _take(await log.join(group, [topic]), 1)) == 1

    async def test_a_member_does_not_get_a_record_twice(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        await log.publish([NewRecord(topic, "k", b"v")])
        member = await log.join(_name("g"), [topic])
        assert len(await _take(member, 1)) == 1
        await log.publish([NewRecord(topic, "k", b"w")])
        assert [r.value for r in await _take(member, 1)] == [b"w"]

    async def test_groups_do_not_disturb_each_other(self, log: Log) -> None:
        topic = await _topic(log)
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(9)])
        for group in (_name("g"), _name("h")):
            assert len(await _take(await log.join(group, [topic]), 9)) == 9

    async def test_members_share_the_partitions(self, log: Log) -> None:
        topic = await _topic(log, partitions=4)
        group = _name("g")
        first, second = await log.join(group, [topic]), await log.join(group, [topic])
        await _shared_out([first, second], 4)
        assert not first.assigned() & second.assigned()
        assert {len(first.assigned()), len(second.assigned())} == {2}
        sent = {f"k{i}" for i in range(40)}
        await log.publish([NewRecord(topic, key, b"v") for key in sorted(sent)])
        got: list[Record] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while len(got) < 40 and time.monotonic() < deadline_s:
            for member in (first, second):
                records = await member.poll(100, 0.05)
                assert {(r.topic, r.partition) for r in records} <= member.assigned()
                got += records
        assert sorted(r.key for r in got) == sorted(sent)

    async def test_who_leaves_gives_its_partitions_to_the_others(self, log: Log) -> None:
        topic = await _topic(log, partitions=4)
        group = _name("g")
        first, second = await log.join(group, [topic]), await log.join(group, [topic])
        await _shared_out([first, second], 4)
        await second.close()
        await second.close()
        await _shared_out([first], 4)
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(20)])
        assert len(await _take(first, 20)) == 20

    async def test_who_lost_a_partition_cannot_commit_it(self, log: Log) -> None:
        topic = await _topic(log, partitions=2)
        group = _name("g")
        first = await log.join(group, [topic])
        await _shared_out([first], 2)
        positions = await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(20)])
        await _take(first, 20)
        second = await log.join(group, [topic])
        await _shared_out([first, second], 2)
        lost = [p for p in positions if (p.topic, p.partition) in second.assigned()]
        first.mark(positions)  # of those lost it says nothing
        with pytest.raises(LogFenced):
            await first.commit([lost[-1]])
        assert {r.partition for r in await _take(second, len(lost))} == {lost[0].partition}

    async def test_two_that_join_at_once_do_not_fence_each_other(self, log: Log) -> None:
        topic = await _topic(log, partitions=2)
        group = _name("g")
        joining = [log.join(group, [topic]) for _ in range(2)]
        members = await asyncio.gather(*joining)
        await _shared_out(members, 2)
        positions = await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(10)])
        for member in members:
            mine = [p for p in positions if (p.topic, p.partition) in member.assigned()]
            await _take(member, len(mine))
            await member.commit(mine[-1:])

    async def test_who_joins_under_a_name_takes_the_place_of_its_holder(self, log: Log) -> None:
        topic = await _topic(log, partitions=2)
        group = _name("g")
        positions = await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(20)])
        last = list({p.partition: p for p in positions}.values())
        first = await log.join(group, [topic], member="owner")
        await _take(first, 20)
        second = await log.join(group, [topic], member="owner")
        again = await _take(second, 20)  # nothing was committed
        assert {(r.partition, r.offset) for r in again} == {
            (p.partition, p.offset) for p in positions
        }
        with pytest.raises(LogFenced):
            await first.commit(last)
        await _put_out(first)
        await first.close()  # must not throw its successor out
        await second.commit(last)
        assert second.assigned() == {(topic, 0), (topic, 1)}
        third = await log.join(group, [topic], member="owner")
        await log.publish([NewRecord(topic, "k", b"new")])
        assert [r.value for r in await _take(third, 1)] == [b"new"]
        await _put_out(second)

    async def test_a_name_is_held_in_its_group_alone(self, log: Log) -> None:
        topic = await _topic(log, partitions=4)
        group = _name("g")
        named = await log.join(group, [topic], member="owner")
        elsewhere = await log.join(_name("h"), [topic], member="owner")
        unnamed = await log.join(group, [topic])
        other = await log.join(group, [topic], member="other")
        await _shared_out([named, unnamed, other], 4)
        await _shared_out([elsewhere], 4)
        positions = await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(40)])
        for member in (named, unnamed, other, elsewhere):
            mine = [p for p in positions if (p.topic, p.partition) in member.assigned()]
            await _take(member, len(mine))
            await member.commit(mine[-1:])

    async def test_a_member_reads_several_topics(self, log: Log) -> None:
        one, other = await _topic(log), await _topic(log)
        await log.publish([NewRecord(one, "k", b"1"), NewRecord(other, "k", b"2")])
        member = await log.join(_name("g"), [one, other])
        assert {(r.topic, r.value) for r in await _take(member, 2)} == {(one, b"1"), (other, b"2")}

    async def test_a_new_group_starts_where_it_says(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        await log.publish([NewRecord(topic, "k", b"old")])
        await self._moment_later()
        positions = await log.publish([NewRecord(topic, "k", b"new")])
        old, new = await _take(await log.read_all([topic]), 2)
        assert old.published_at < new.published_at
        group = _name("g")
        member = await log.join(group, [topic], start_from=new.published_at)
        assert [r.value for r in await _take(member, 1)] == [b"new"]
        await member.commit(positions)
        await member.close()
        await log.publish([NewRecord(topic, "k", b"newest")])
        again = await log.join(group, [topic], start_from=old.published_at)
        assert [r.value for r in await _take(again, 1)] == [b"newest"]

    async def test_a_start_after_everything_waits_for_the_next(self, log: Log) -> None:
        topic = await _topic(log, partitions=1)
        await log.publish([NewRecord(topic, "k", b"old")])
        last = (await _take(await log.read_all([topic]), 1))[0]
        later = last.published_at + timedelta(hours=1)
        member = await log.join(_name("g"), [topic], start_from=later)
        await _shared_out([member], 1)
        assert list(await member.poll(10, 0.0)) == []
        await log.publish([NewRecord(topic, "k", b"new")])
        assert [r.value for r in await _take(member, 1)] == [b"new"]

    async def test_every_reader_gets_everything_from_the_start(self, log: Log) -> None:
        topic = await _topic(log)
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(10)])
        for _ in range(2):
            reader = await log.read_all([topic])
            assert {r.key for r in await _take(reader, 10)} == {f"k{i}" for i in range(10)}
            await reader.close()
            await reader.close()

    async def test_a_reader_knows_when_it_has_caught_up(self, log: Log) -> None:
        topic = await _topic(log)
        await log.publish([NewRecord(topic, f"k{i}", b"v") for i in range(10)])
        reader = await log.read_all([topic])
        assert not await reader.caught_up()
        await _take(reader, 9, at_once=9)
        assert not await reader.caught_up()
        await log.publish([NewRecord(topic, "later", b"v")])
        await _take(reader, 1, at_once=1)
        await _take(reader, 1, at_once=1)
        assert await reader.caught_up()
        assert await (await log.read_all([await _topic(log)])).caught_up()

    async def test_compaction_keeps_the_newest_of_each_key(self, log: Log) -> None:
        self._needs_our_upkeep()
        topic = await _topic(log, compacted=True)
        for value in (b"1", b"2", b"3"):
            await log.publish([NewRecord(topic, f"k{i}", value) for i in range(5)])
        await log.maintain()
        reader = await log.read_all([topic])
        got = await _take(reader, 5)
        assert {(r.key, r.value) for r in got} == {(f"k{i}", b"3") for i in range(5)}
        assert await reader.caught_up()
        positions = await log.publish([NewRecord(topic, "k0", b"4")])
        last = {r.offset for r in got if r.partition == positions[0].partition}
        assert positions[0].offset == max(last) + 1

    async def test_a_tombstone_stays_a_day_and_then_goes(self, log: Log) -> None:
        self._needs_our_upkeep()
        topic = await _topic(log, compacted=True)
        await log.publish([NewRecord(topic, "k", b"v"), NewRecord(topic, "k", None)])
        await self.pass_time(timedelta(hours=23))
        await log.maintain()
        assert [r.value for r in await _take(await log.read_all([topic]), 1)] == [None]
        await self.pass_time(timedelta(hours=2))
        await log.maintain()
        reader = await log.read_all([topic])
        assert list(await reader.poll(10, 0.0)) == []
        assert await reader.caught_up()

    async def test_retention_drops_the_old_and_keeps_the_offsets(self, log: Log) -> None:
        self._needs_our_upkeep()
        topic = await _topic(log, partitions=1, retention=timedelta(minutes=10))
        await log.publish([NewRecord(topic, "k", b"1"), NewRecord(topic, "k", b"2")])
        await self.pass_time(timedelta(minutes=6))
        await log.publish([NewRecord(topic, "k", b"3")])
        await self.pass_time(timedelta(minutes=6))
        await log.maintain()
        left = await _take(await log.read_all([topic]), 1)
        assert [(r.value, r.offset) for r in left] == [(b"3", 2)]
        await self.pass_time(timedelta(minutes=6))
        await log.maintain()
        positions = await log.publish([NewRecord(topic, "k", b"4")])
        assert positions[0].offset == 3

    async def test_a_group_behind_the_retention_goes_on_with_what_is_left(self, log: Log) -> None:
        self._needs_our_upkeep()
        topic = await _topic(log, partitions=1, retention=timedelta(minutes=10))
        await log.publish([NewRecord(topic, "k", b"1")])
        member = await log.join(_name("g"), [topic])
        await self.pass_time(timedelta(minutes=11))
        await log.maintain()
        await log.publish([NewRecord(topic, "k", b"2")])
        assert [r.value for r in await _take(member, 1)] == [b"2"]

    async def test_a_closed_log_says_so(self, log: Log) -> None:
        topic = await _topic(log)
        member = await log.join(_name("g"), [topic])
        await log.close()
        await log.close()
        with pytest.raises(LogUnavailable):
            await log.publish([NewRecord(topic, "k", b"v")])
        with pytest.raises(LogUnavailable):
            await member.poll(1, 0.0)

    async def _moment_later(self) -> None:
        """Time goes on by more than a millisecond, which is how fine a broker's times are."""
        if self.upkeep_is_ours:
            await self.pass_time(timedelta(seconds=1))
        else:
            await asyncio.sleep(0.01)

    def _needs_our_upkeep(self) -> None:
        if not self.upkeep_is_ours:
            pytest.skip("the engine keeps and compacts when it likes")


def _name(prefix: str) -> str:
    return f"{prefix}.{uuid.uuid4().hex}"


async def _topic(
    log: Log,
    partitions: int = 4,
    retention: timedelta | None = None,
    compacted: bool = False,
) -> str:
    name = _name("contract")
    await log.create_topics([TopicSpec(name, partitions, retention, compacted)])
    return name


async def _take(
    reader: GroupConsumer | AllReader, count: int, at_once: int = 1_000
) -> Sequence[Record]:
    """Polls until `count` records came; fails after the patience."""
    got: list[Record] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(got) < count:
        assert time.monotonic() < deadline_s, f"{len(got)} of {count} records"
        got += await _poll_now(reader, min(at_once, count - len(got)))
    return got


async def _poll_now(reader: GroupConsumer | AllReader, most: int) -> Sequence[Record]:
    """Polls without the log's clock, which may stand still: looks, and lets others run where there
    is nothing."""
    records = await reader.poll(most, 0.0)
    if not records:
        await asyncio.sleep(0.005)
    return records


async def _put_out(member: GroupConsumer) -> None:
    """Returns when polls of the member raise LogFenced."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            await _poll_now(member, 1)
        except LogFenced:
            return
    raise AssertionError("the earlier holder of the name is not told")


async def _leftover(log: Log, topic: str) -> bool:
    reader = await log.read_all([topic])
    return bool(await reader.poll(10, 0.0))


async def _shared_out(members: Sequence[GroupConsumer], partitions: int) -> None:
    """Polls until every partition has one holder and everybody has one; what is read must not exist
    yet."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        shares = [member.assigned() for member in members]
        if sum(map(len, shares)) == partitions and all(shares):
            return
        assert time.monotonic() < deadline_s, f"not shared out: {shares}"
        await asyncio.gather(*[member.poll(1, 0.0) for member in members])
        await asyncio.sleep(0.005)
