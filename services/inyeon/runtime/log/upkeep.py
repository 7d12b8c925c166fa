"""What retention and compaction keep: pure rules over the records of one partition, used by every
log of ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from inyeon.runtime.errors import TopicMismatch
from inyeon.runtime.log.port import TopicSpec

TOMBSTONE_KEPT = timedelta(hours=24)
"""A tombstone stays this long, so that a reader that was away for less learns of it (Kafka's
delete.retention.ms)."""


class Kept(Protocol):
    """What the rules look at."""

    @property
    def key(self) -> str: ...
    @property
    def published_at(self) -> datetime: ...
    @property
    def value(self) -> bytes | None: ...


R = TypeVar("R", bound=Kept)


def kept_by_retention(records: Sequence[R], spec: TopicSpec, now: datetime) -> Sequence[R]:
    """Cuts the old beginning off: everything before the first record younger than the retention."""
    if spec.retention is None:
        return records
    oldest = now - spec.retention
    for i, record in enumerate(records):
        if record.published_at >= oldest:
            return records[i:]
    return records[len(records) :]


def kept_by_compaction(records: Sequence[R], tombstones_from: datetime) -> Sequence[R]:
    """Keeps the newest record of each key, and of those the tombstones not older than
    `tombstones_from`."""
    newest = {record.key: i for i, record in enumerate(records)}
    return [
        record
        for i, record in enumerate(records)
        if newest[record.key] == i
        and (record.value is not None or record.published_at >= tombstones_from)
    ]


def check_same_partitions(existing: TopicSpec | None, wanted: TopicSpec) -> None:
    """Raises TopicMismatch: keys would move to other partitions and lose their order."""
    if existing is not None and existing.partitions != wanted.partitions:
        message = (
            f"{wanted.name} has {existing.partitions} partitions, asked for {wanted.partitions}"
        )
        raise TopicMismatch(message, field="partitions")
