"""The seam to the log. Adapters: `embedded` (SQLite, durable), `memory` (twin for tests), Kafka
later.

Two ways to read. **Group**: each record goes to one member of the group, which commits what it has
done. **All**: every reader gets every record from the start and is ready only when it has caught
up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is kept. One table in `topics.py` lists them all."""

    name: str
    partitions: int = 4
    retention: timedelta | None = None
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to publish. `key` is never empty; `value` None is a tombstone (compacted topics
    only).

    `partition_key` picks the partition where it is not `key` (tickets go by pool).
    """

    topic: str
    key: str
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
    partition_key: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: Mapping[str, str]
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """Place of a record; in a commit: everything up to and including it is done."""

    topic: str
    partition: int
    offset: int


class GroupConsumer(Protocol):
    """A member of a consumer group. Used by one task at a time."""

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records of the partitions held, in order within a partition; empty after `timeout_s`
        without any.

        What was returned is not given again to this member unless it is lost before a commit (at
        least once). Raises LogUnavailable, also when the member or the log is closed, and LogFenced
        when another has its name.
        """
        ...

    def mark(self, positions: Sequence[Position]) -> None:
        """Says what is done before it is committed: should a partition be given up, that much is
        made durable first where members are asked to give up. Others may have it already: then it
        says nothing."""
        ...

    async def commit(self, positions: Sequence[Position]) -> None:
        """Makes progress durable. Raises LogFenced when another member now holds a partition."""
        ...

    def assigned(self) -> frozenset[tuple[str, int]]:
        """(topic, partition) pairs held now."""
        ...

    async def close(self) -> None:
        """Gives the partitions back. Closing twice does nothing."""
        ...


class AllReader(Protocol):
    """Reads every record of some topics from the start."""

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records; empty after `timeout_s` without any."""
        ...

    async def caught_up(self) -> bool:
        """Everything that was in the log when the reader opened has been returned."""
        ...

    async def close(self) -> None:
        """Stops reading. Closing twice does nothing."""
        ...


class Log(Protocol):
    """Topics, partitions, keys. Safe to use from many tasks of one loop."""

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Creates what is missing; an existing topic with other partitions raises TopicMismatch."""
        ...

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """Appends in order; durable (fsync) when it returns. Raises UnknownTopic, RecordTooLarge,
        LogUnavailable."""
        ...

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        """Joins a group. Where the group has no commit yet, starts at the beginning or at
        `start_from`.

        `member`: a name that one member of the group has at a time, whatever process it lives in.
        Who joins under it takes the place of the earlier holder at once, dead or alive; the earlier
        one cannot commit any more, and its polls raise LogFenced, at the latest after a commit has.
        Empty: a place of its own.
        """
        ...

    async def read_all(self, topics: Sequence[str]) -> AllReader:
        """Opens an all-mode reader."""
        ...

    async def maintain(self) -> None:
        """Applies retention and compaction once. Called by the harness from time to time."""
        ...

    async def close(self) -> None:
        """Closes everything opened here."""
        ...
