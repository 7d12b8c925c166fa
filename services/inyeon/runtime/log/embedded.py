"""The embedded log: durable, in one SQLite file, for one machine.

- `publish` returns when the records are fsynced; concurrent calls share an fsync
  (`embedded_writer.py`).
- Readers in this process are woken at once. Another process may share the file: its records and
  topics are seen within 0.1 s, offsets stay dense, nothing corrupts.
- A consumer group lives in one process. When another process joins the group it takes it over:
  members here hold nothing any more and their commits raise LogFenced.
- The file must lie on a local disk (SQLite's write-ahead log needs shared memory).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import LogCorrupt, LogUnavailable, UnknownTopic
from inyeon.runtime.log import embedded_jobs as jobs
from inyeon.runtime.log import embedded_reader as reading
from inyeon.runtime.log.assigning import TopicPartition
from inyeon.runtime.log.embedded_file import open_file
from inyeon.runtime.log.embedded_upkeep import Upkeep
from inyeon.runtime.log.embedded_writer import Pages, Writer
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
from inyeon.runtime.log.upkeep import TOMBSTONE_KEPT

# Calls in the hand-over to the writer; more wait in line. With a group commit of about 3 ms that is
# far more than a disk can keep busy, and bounds what a crash can leave unanswered.
HAND_OVER = 4_096
WRITE_DEADLINE_S = (
    15.0  # the 10 s that another process may hold the lock, and 5 s for the queue before it
)
WATCH_S = 0.1  # how late records of another process are seen

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Topics and partitions of the file as this process knows them."""

    specs: Mapping[str, TopicSpec]
    ids: Mapping[TopicPartition, int]
    ends: Mapping[int, int]


class EmbeddedLog:
    """A log in a file. Build it with `open`, within the loop that uses it."""

    def __init__(self, path: Path, clock: Clock, tombstone_kept: timedelta) -> None:
        self.clock = clock
        self._path = path
        self._specs: dict[str, TopicSpec] = {}
        self._ids: dict[TopicPartition, int] = {}
        self._places: dict[int, TopicPartition] = {}
        self._ends: dict[int, int] = {}
        self._wakes = Wakes()
        self._groups = Groups(self, self._wakes)
        self._readers: list[Reader] = []
        self._room = asyncio.Semaphore(HAND_OVER)
        self._keeping = asyncio.Lock()  # one upkeep at a time
        self._file = reading.FileReader(path)
        self._writer = Writer(path, self._grown)
        self._upkeep = Upkeep(self._file, self._writer, tombstone_kept)
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock | None = None,
        tombstone_kept: timedelta = TOMBSTONE_KEPT,
    ) -> EmbeddedLog:
        """Opens or creates the file. Raises LogCorrupt (truncated, garbage, foreign, newer) and
        LogUnavailable."""
        await asyncio.to_thread(open_file, path)
        log = cls(path, clock or SystemClock(), tombstone_kept)
        try:
            await log._refresh()
        except BaseException:
            await log.close()
            raise
        log._watching = asyncio.create_task(log._watch())
        return log

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Creates what is missing. Raises TopicMismatch."""
        await self._write(lambda pages: jobs.create_topics(pages, topics))
        await self._refresh()

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """Appends in order, all or nothing. LogUnavailable after a deadline leaves open whether
        they are in the log."""
        places = [self._place_of(record) for record in records]
        rows = [
            jobs.Row(self._ids[place], record.key, record.value, json.dumps(dict(record.headers)))
            for place, record in zip(places, records, strict=True)
        ]
        if not rows:
            return ()
        offsets = await self._write(lambda pages: jobs.append(pages, rows, self.clock))
        return [Position(*place, offset) for place, offset in zip(places, offsets, strict=True)]

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        """Joins a group."""
        self._check_open()
        return await self._groups.join(group, topics, start_from, member)

    async def read_all(self, topics: Sequence[str]) -> AllReader:
        """Opens an all-mode reader."""
        await self._refresh()
        places = [(t, p) for t in topics for p in range(self.spec(t).partitions)]
        reader = Reader(self, self._wakes, topics, {p: self._ends[self._ids[p]] for p in places})
        self._readers.append(reader)
        return reader

    async def maintain(self) -> None:
        """Applies retention and compaction once."""
        self._check_open()
        async with self._keeping:
            now = self.clock.now()
            for (topic, _), partition_id in list(self._ids.items()):
                await self._upkeep.keep(self._specs[topic], partition_id, now)
            await self._upkeep.give_back_room()

    async def close(self) -> None:
        """Finishes what was handed over, then closes everything. Closing twice does nothing."""
        if self._closed:
            return
        await self._groups.close()
        for reader in self._readers:
            await reader.close()
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._writer.close()
        await self._file.close()

    def spec(self, topic: str) -> TopicSpec:
        """Raises UnknownTopic."""
        if topic not in self._specs:
            raise UnknownTopic(f"topic {topic!r} was never created", field="topic")
        return self._specs[topic]

    async def fetch(
        self, wanted: Sequence[tuple[TopicPartition, int]], limit: int
    ) -> Sequence[Record]:
        """Records at or after the offsets; goes to the file only for partitions that have some."""
        self._check_open()
        wants = [
            reading.Want(*place, self._ids[place], offset)
            for place, offset in wanted
            if offset < self._ends[self._ids[place]]
        ]
        if not wants:
            return ()
        return await self._file.run(lambda c: reading.fetch(c, wants, limit))

    async def starts(
        self, group: str, places: Sequence[TopicPartition], start_from: datetime | None
    ) -> Mapping[TopicPartition, int]:
        """Where a group goes on."""
        return await self._file.run(lambda c: self._starts(c, group, places, start_from))

    async def save(self, group: str, epoch: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Keeps next offsets. Raises LogFenced when another process has the group."""
        by_id = {self._ids[place]: offset for place, offset in offsets.items()}
        await self._write(lambda pages: jobs.save_offsets(pages, group, epoch, by_id))

    async def open_group(self, group: str) -> int:
        """Takes the group for this process."""
        return await self._write(lambda pages: jobs.open_group(pages, group))

    def _place_of(self, record: NewRecord) -> TopicPartition:
        spec = self.spec(record.topic)
        check_record(record, spec)
        return record.topic, partition_for(record, spec)

    def _starts(
        self,
        connection: sqlite3.Connection,
        group: str,
        places: Sequence[TopicPartition],
        start_from: datetime | None,
    ) -> Mapping[TopicPartition, int]:
        committed = reading.committed(connection, group, [self._ids[p] for p in places])
        found: dict[TopicPartition, int] = {}
        for place in places:
            partition_id = self._ids[place]
            offset = committed[partition_id]
            if offset is None and start_from is not None:
                offset = reading.offset_at(connection, partition_id, start_from)
                offset = self._ends[partition_id] if offset is None else offset
            found[place] = offset or 0
        return found

    async def _write(self, apply: Callable[[Pages], T]) -> T:
        """Hands a job to the writer; the room it takes is free again when it is done, even if
        nobody waits for it."""
        self._check_open()
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                await self._room.acquire()
                future = self._submit(apply)
                return await asyncio.shield(future)
        except TimeoutError as error:
            said = f"{self._path}: not written within {WRITE_DEADLINE_S} s; it may still be"
            raise LogUnavailable(said) from error

    def _submit(self, apply: Callable[[Pages], T]) -> asyncio.Future[T]:
        try:
            future = self._writer.submit(apply)
        except LogUnavailable:
            self._room.release()
            raise
        future.add_done_callback(self._done)
        return future

    def _done(self, future: asyncio.Future[T]) -> None:
        self._room.release()
        if not future.cancelled():
            future.exception()  # seen: whoever asked may be gone

    def _grown(self, ends: Mapping[int, int]) -> None:
        """New ends of partitions, from the writer or from another process."""
        grown = {i for i, end in ends.items() if end > self._ends.get(i, 0)}
        self._ends.update({i: ends[i] for i in grown})
        self._wakes.grown({self._places[i][0] for i in grown if i in self._places})

    async def _refresh(self) -> None:
        """Learns what other processes have created and appended."""
        self._check_open()
        layout = await self._file.run(_layout)
        self._specs.update(layout.specs)
        self._ids.update(layout.ids)
        self._places.update({i: place for place, i in layout.ids.items()})
        for i in layout.ids.values():
            self._ends.setdefault(i, 0)
        self._grown(layout.ends)

    async def _watch(self) -> None:
        """Looks for changes by other processes; our own commits look the same and cost one small
        read."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self._refresh()
            except (LogUnavailable, LogCorrupt) as error:
                _logger.warning("cannot look for records of other processes: %s", error)

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable(f"{self._path}: the log is closed")


def _layout(connection: sqlite3.Connection) -> _Layout:
    specs = {spec.name: spec for spec in jobs.read_topics(connection)}
    rows = connection.execute("SELECT id, topic, number, next_offset FROM partitions").fetchall()
    ids = {(topic, number): i for i, topic, number, _ in rows}
    return _Layout(specs, ids, {row[0]: row[3] for row in rows})
