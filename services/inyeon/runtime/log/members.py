"""Group members and all-readers over any source of records; shared by the memory and the embedded
log.

Membership lives in this process. When somebody joins or leaves, partitions are shared out anew at
once; a member that lost a partition learns it by `LogFenced` at its next commit, and never gets
records of it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogFenced, LogUnavailable, UnknownTopic
from inyeon.runtime.log.assigning import TopicPartition, assign
from inyeon.runtime.log.port import Position, Record, TopicSpec
from inyeon.runtime.log.waiting import wait_for_event

_logger = logging.getLogger(__name__)


class Source(Protocol):
    """What members and readers need from a log."""

    @property
    def clock(self) -> Clock:
        """Bounds the waiting of a poll."""
        ...

    def spec(self, topic: str) -> TopicSpec:
        """Raises UnknownTopic."""
        ...

    async def fetch(
        self, wanted: Sequence[tuple[TopicPartition, int]], limit: int
    ) -> Sequence[Record]:
        """At most `limit` records at or after each offset, partition by partition in the order
        given."""
        ...

    async def starts(
        self, group: str, places: Sequence[TopicPartition], start_from: datetime | None
    ) -> Mapping[TopicPartition, int]:
        """Offset to go on from: the committed one, else the first at or after `start_from`, else
        the first."""
        ...

    async def save(self, group: str, epoch: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Makes next offsets durable. Raises LogFenced when another process has opened the
        group."""
        ...

    async def open_group(self, group: str) -> int:
        """Takes the group for this process and returns its epoch; called when its first member
        joins."""
        ...


class Wakes:
    """Who waits for which topic. Used on the log's loop only."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def add(self, event: asyncio.Event, topics: Sequence[str]) -> None:
        """From now on `event` is set whenever one of the topics grows."""
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(event)

    def remove(self, event: asyncio.Event) -> None:
        """Forgets the event."""
        for events in self._waiting.values():
            events.discard(event)

    def grown(self, topics: frozenset[str] | set[str]) -> None:
        """Tells everybody who waits for one of the topics."""
        for topic in topics:
            for event in self._waiting.get(topic, ()):
                event.set()


class Cursor:
    """Offsets to read from and the wake-up behind them. Base of members and readers."""

    def __init__(self, source: Source, wakes: Wakes, topics: Sequence[str]) -> None:
        self._source = source
        self._wakes = wakes
        self._event = asyncio.Event()
        self._next: dict[TopicPartition, int | None] = {}
        self._turn = 0
        self._open = True
        self._why_closed: LogFenced | None = None
        wakes.add(self._event, topics)

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records; empty after `timeout_s` without any, or when it is closed meanwhile.

        Raises LogUnavailable when it was closed before, so that a loop around it does not spin, and
        LogFenced when another member has its name.
        """
        if not self._open:
            raise self._why_closed or LogUnavailable("the reader is closed")
        clock = self._source.clock
        deadline_s = clock.monotonic() + timeout_s
        while self._open:
            self._event.clear()
            records = await self._take(max_records)
            left_s = deadline_s - clock.monotonic()
            if records or left_s <= 0:
                return records
            await wait_for_event(self._event, clock, left_s)
        return ()

    async def _resolve(self) -> None:
        """Fills in offsets that are not known yet."""

    async def _take(self, max_records: int) -> Sequence[Record]:
        await self._resolve()
        wanted = self._wanted()
        if not wanted:
            return ()
        asked = dict(wanted)
        taken = []
        for record in await self._source.fetch(wanted, max_records):
            place = (record.topic, record.partition)
            # Partitions may have gone to somebody else, or come back, while the records were read.
            if self._next.get(place) == asked[place]:
                asked[place] = self._next[place] = record.offset + 1
                taken.append(record)
        return taken

    def _wanted(self) -> list[tuple[TopicPartition, int]]:
        """Partitions with their offsets, another one first each time, so that a busy one starves
        nobody."""
        known = [(place, offset) for place, offset in self._next.items() if offset is not None]
        self._turn = (self._turn + 1) % max(1, len(known))
        return known[self._turn :] + known[: self._turn]

    async def close(self) -> None:
        """Stops reading. Closing twice does nothing."""
        self._end()

    def _end(self) -> None:
        self._open = False
        self._event.set()
        self._wakes.remove(self._event)


class Reader(Cursor):
    """An all-mode reader."""

    def __init__(
        self,
        source: Source,
        wakes: Wakes,
        topics: Sequence[str],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        super().__init__(source, wakes, topics)
        self._behind = dict(ends)
        self._next.update(dict.fromkeys(ends, 0))

    async def caught_up(self) -> bool:
        """Everything that was in the log when the reader opened has been returned."""
        for place, end in list(self._behind.items()):
            offset = self._next[place] or 0
            if offset >= end or await self._nothing_left(place, offset, end):
                self._behind.pop(place, None)
        return not self._behind

    async def _nothing_left(self, place: TopicPartition, offset: int, end: int) -> bool:
        """Compaction and retention leave holes, so the last offsets may never come."""
        following = await self._source.fetch([(place, offset)], 1)
        return not following or following[0].offset >= end


class Member(Cursor):
    """A member of a consumer group."""

    def __init__(
        self,
        groups: Groups,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None,
        name: str,
    ) -> None:
        super().__init__(groups.source, groups.wakes, topics)
        self.name = name
        self._groups = groups
        self._group = group
        self._start_from = start_from
        self.topics = frozenset(topics)

    def grant(self, places: frozenset[TopicPartition]) -> None:
        """The partitions held from now on; called by the group."""
        for lost in self._next.keys() - places:
            del self._next[lost]
        for gained in sorted(places - self._next.keys()):
            self._next[gained] = None
        self._event.set()

    def put_out(self) -> None:
        """Another has the name: nothing will come any more; called by the group."""
        said = f"{self._group}: another member is {self.name!r} now"
        _logger.warning("%s; this one leaves", said)
        self._why_closed = LogFenced(said)
        self._next.clear()
        self._end()

    def assigned(self) -> frozenset[TopicPartition]:
        """(topic, partition) pairs held now."""
        return frozenset(self._next)

    def mark(self, positions: Sequence[Position]) -> None:
        """Nothing: partitions are taken away here without asking."""

    async def commit(self, positions: Sequence[Position]) -> None:
        """Makes progress durable. Raises LogFenced when another member now holds a partition; then
        nothing is committed."""
        for position in positions:
            if (position.topic, position.partition) not in self._next:
                place = f"{position.topic}/{position.partition}"
                raise LogFenced(f"{self._group}: {place} is held by another member")
        offsets = {(p.topic, p.partition): p.offset + 1 for p in positions}
        if offsets:
            await self._groups.save(self._group, offsets)

    async def close(self) -> None:
        """Gives the partitions back."""
        if self._open:
            await super().close()
            self._next.clear()
            self._groups.leave(self._group, self)

    async def _resolve(self) -> None:
        unknown = [place for place, offset in self._next.items() if offset is None]
        if not unknown:
            return
        starts = await self._source.starts(self._group, unknown, self._start_from)
        for place, offset in starts.items():
            if place in self._next and self._next[place] is None:
                self._next[place] = offset


@dataclass(slots=True)
class _Group:
    epoch: int
    members: dict[int, Member] = field(default_factory=dict)

    def put_out(self, name: str) -> None:
        """Removes the holder of a name; nobody holds the empty one."""
        for i, member in list(self.members.items()):
            if name and member.name == name:
                del self.members[i]
                member.put_out()


class Groups:
    """The groups of this process."""

    def __init__(self, source: Source, wakes: Wakes) -> None:
        self.source = source
        self.wakes = wakes
        self._groups: dict[str, _Group] = {}
        self._opening = asyncio.Lock()  # two first members at once must not fence each other
        self._count = 0

    async def join(
        self, group: str, topics: Sequence[str], start_from: datetime | None, name: str
    ) -> Member:
        """A new member with its share; puts out who had its name. Raises UnknownTopic."""
        for topic in topics:
            self.source.spec(topic)
        if not topics:
            raise UnknownTopic(f"{group} joined without a topic")
        async with self._opening:
            if group not in self._groups:
                self._groups[group] = _Group(await self.source.open_group(group))
        member = Member(self, group, topics, start_from, name)
        found = self._groups[group]
        found.put_out(name)
        self._count += 1
        found.members[self._count] = member
        self._share_out(found)
        return member

    def leave(self, group: str, member: Member) -> None:
        """Gives the member's share to the others."""
        found = self._groups.get(group)
        if found is None:
            return
        found.members = {i: m for i, m in found.members.items() if m is not member}
        if found.members:
            self._share_out(found)
        else:
            del self._groups[group]

    async def save(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commits for a member. When another process took the group, its members here hold nothing
        any more."""
        found = self._groups[group]
        try:
            await self.source.save(group, found.epoch, offsets)
        except LogFenced:
            for member in list(found.members.values()):
                member.grant(frozenset())
                found.put_out(member.name)
            if not found.members:
                del self._groups[group]
            raise

    async def close(self) -> None:
        """Closes every member."""
        for group in list(self._groups.values()):
            for member in list(group.members.values()):
                await member.close()

    def _share_out(self, group: _Group) -> None:
        subscriptions = {i: member.topics for i, member in group.members.items()}
        topics = set().union(*subscriptions.values())
        partitions = {topic: self.source.spec(topic).partitions for topic in topics}
        held = {i: member.assigned() for i, member in group.members.items()}
        for i, places in assign(subscriptions, partitions, held).items():
            group.members[i].grant(places)
