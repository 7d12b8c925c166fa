"""The log in memory: the twin for tests. Nothing survives the process, `published_at` is the
injected clock's."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import LogUnavailable, UnknownTopic
from inyeon.runtime.log.assigning import TopicPartition
from inyeon.runtime.log.members import Groups, Reader, Wakes
from inyeon.runtime.log.port import (
    AllReader,
    GroupConsumer,
    NewRecord,
    Position,
    Record,
    TopicSpec,
)
from inyeon.runtime.log.records import check_record, partition_for
from inyeon.runtime.log.upkeep import (
    TOMBSTONE_KEPT,
    check_same_partitions,
    kept_by_compaction,
    kept_by_retention,
)


@dataclass(slots=True)
class _Partition:
    records: list[Record] = field(default_factory=list)
    next_offset: int = 0

    def at(self, offset: int) -> int:
        return bisect.bisect_left(self.records, offset, key=lambda r: r.offset)


class MemoryLog:
    """A log that lives as long as the object."""

    def __init__(
        self, clock: Clock | None = None, tombstone_kept: timedelta = TOMBSTONE_KEPT
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.outage = False
        """Set by tests: while true every call raises LogUnavailable, as when the broker is away."""
        self._tombstone_kept = tombstone_kept
        self._specs: dict[str, TopicSpec] = {}
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._committed: dict[tuple[str, TopicPartition], int] = {}
        self._epochs: dict[str, int] = {}
        self._wakes = Wakes()
        self._groups = Groups(self, self._wakes)
        self._readers: list[Reader] = []
        self._closed = False

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Creates what is missing. Raises TopicMismatch."""
        self._check_available()
        for spec in topics:
            check_same_partitions(self._specs.get(spec.name), spec)
        for spec in topics:
            self._specs[spec.name] = spec
            for partition in range(spec.partitions):
                self._partitions.setdefault((spec.name, partition), _Partition())

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """Appends in order, all or nothing."""
        self._check_available()
        for record in records:
            check_record(record, self.spec(record.topic))
        positions = [self._append(record) for record in records]
        self._wakes.grown({record.topic for record in records})
        return positions

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        """Joins a group."""
        self._check_available()
        return await self._groups.join(group, topics, start_from, member)

    async def read_all(self, topics: Sequence[str]) -> AllReader:
        """Opens an all-mode reader."""
        self._check_available()
        places = [(t, p) for t in topics for p in range(self.spec(t).partitions)]
        reader = Reader(self, self._wakes, topics, await self.ends(places))
        self._readers.append(reader)
        return reader

    async def maintain(self) -> None:
        """Applies retention and compaction once."""
        self._check_available()
        now = self.clock.now()
        for (topic, _), partition in self._partitions.items():
            spec = self._specs[topic]
            kept = kept_by_retention(partition.records, spec, now)
            if spec.compacted:
                kept = kept_by_compaction(kept, now - self._tombstone_kept)
            partition.records = list(kept)

    async def close(self) -> None:
        """Closes members and readers; everything afterwards raises LogUnavailable."""
        self._closed = True
        await self._groups.close()
        for reader in self._readers:
            await reader.close()

    def spec(self, topic: str) -> TopicSpec:
        """Raises UnknownTopic."""
        if topic not in self._specs:
            raise UnknownTopic(f"topic {topic!r} was never created", field="topic")
        return self._specs[topic]

    async def fetch(
        self, wanted: Sequence[tuple[TopicPartition, int]], limit: int
    ) -> Sequence[Record]:
        """Records at or after the offsets."""
        self._check_available()
        found: list[Record] = []
        for place, offset in wanted:
            partition = self._partitions[place]
            start = partition.at(offset)
            found += partition.records[start : start + limit - len(found)]
            if len(found) >= limit:
                break
        return found

    async def starts(
        self, group: str, places: Sequence[TopicPartition], start_from: datetime | None
    ) -> Mapping[TopicPartition, int]:
        """Where a group goes on."""
        self._check_available()
        return {p: self._start(group, p, start_from) for p in places}

    async def save(self, group: str, epoch: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Keeps next offsets."""
        self._check_available()
        for place, offset in offsets.items():
            self._committed[group, place] = offset

    async def open_group(self, group: str) -> int:
        """There is only this process."""
        self._epochs[group] = self._epochs.get(group, 0) + 1
        return self._epochs[group]

    async def ends(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Next offsets."""
        return {place: self._partitions[place].next_offset for place in places}

    def _start(self, group: str, place: TopicPartition, start_from: datetime | None) -> int:
        committed = self._committed.get((group, place))
        if committed is not None or start_from is None:
            return committed or 0
        partition = self._partitions[place]
        later = (r.offset for r in partition.records if r.published_at >= start_from)
        return next(later, partition.next_offset)

    def _append(self, new: NewRecord) -> Position:
        number = partition_for(new, self._specs[new.topic])
        partition = self._partitions[new.topic, number]
        offset = partition.next_offset
        partition.next_offset += 1
        headers, now = dict(new.headers), self.clock.now()
        partition.records.append(
            Record(new.topic, number, offset, new.key, new.value, headers, now)
        )
        return Position(new.topic, number, offset)

    def _check_available(self) -> None:
        if self._closed or self.outage:
            raise LogUnavailable("the log is closed" if self._closed else "the log is away")
