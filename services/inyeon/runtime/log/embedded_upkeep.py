"""Retention and compaction of the embedded log, in small steps, so that publishers wait for none of
it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from inyeon.runtime.log.embedded_jobs import delete_records, give_back_room
from inyeon.runtime.log.embedded_reader import FileReader, Held, held
from inyeon.runtime.log.embedded_writer import Writer
from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.upkeep import kept_by_compaction, kept_by_retention

STEP = 2_000  # records deleted in one transaction: about 10 ms that publishers wait at most

VACUUM_PAGES = 500  # pages of 4 KiB given back in one transaction: about 5 ms
VACUUM_STEPS = 50  # 100 MB each time; upkeep comes often enough for the rest


class Upkeep:
    """Keeps one file small."""

    def __init__(self, reader: FileReader, writer: Writer, tombstone_kept: timedelta) -> None:
        self._reader = reader
        self._writer = writer
        self._tombstone_kept = tombstone_kept

    async def keep(self, spec: TopicSpec, partition_id: int, now: datetime) -> None:
        """Applies what a topic says to one of its partitions."""
        if spec.retention is not None:
            await self._retain(spec, partition_id, now)
        if spec.compacted:
            await self._compact(partition_id, now)

    async def give_back_room(self) -> None:
        """Returns room of deleted records to the disk."""
        for _ in range(VACUUM_STEPS):
            freed = await self._writer.submit(lambda pages: give_back_room(pages, VACUUM_PAGES))
            if freed < VACUUM_PAGES:
                return

    async def _retain(self, spec: TopicSpec, partition_id: int, now: datetime) -> None:
        while True:
            oldest = await self._read(partition_id, -1, STEP)
            expired = oldest[: len(oldest) - len(kept_by_retention(oldest, spec, now))]
            await self._delete(expired)
            if len(expired) < STEP:
                return

    async def _compact(self, partition_id: int, now: datetime) -> None:
        rows: list[Held] = []
        while step := await self._read(partition_id, rows[-1].id if rows else -1, STEP):
            rows += step
        kept = {row.id for row in kept_by_compaction(rows, now - self._tombstone_kept)}
        superseded = [row for row in rows if row.id not in kept]
        for start in range(0, len(superseded), STEP):
            await self._delete(superseded[start : start + STEP])

    async def _read(self, partition_id: int, after_id: int, limit: int) -> list[Held]:
        return await self._reader.run(lambda c: held(c, partition_id, after_id, limit))

    async def _delete(self, rows: Sequence[Held]) -> None:
        ids = [row.id for row in rows]
        if ids:
            await self._writer.submit(lambda pages: delete_records(pages, ids))
