"""The log on Kafka, over kafka-python. `KafkaLog.open` connects; everything else is the port.

- `kafka_settings.py`: how the clients are set, and why;
- `kafka_producer.py`: publishing; `kafka_admin.py`: topics;
- `kafka_poller.py`: the thread behind each member (`kafka_member.py`) and reader
  (`kafka_reader.py`), `kafka_buffer.py` the bounded hand-over between it and the loop.

What the broker does by itself is not done here: retention, compaction, replication. No broker
transactions are used: outbox, idempotent producer and idempotent consumers take their place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from kafka import TopicPartition
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogUnavailable, UnknownTopic
from inyeon.runtime.log.kafka_admin import Admin
from inyeon.runtime.log.kafka_member import KafkaMember
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_producer import Publisher
from inyeon.runtime.log.kafka_reader import KafkaReader
from inyeon.runtime.log.kafka_settings import (
    client_options,
    member_options,
    producer_options,
    reader_options,
)
from inyeon.runtime.log.port import (
    AllReader,
    GroupConsumer,
    NewRecord,
    Position,
    TopicSpec,
)
from inyeon.runtime.log.records import check_record, partition_for
from inyeon.runtime.settings import RuntimeSettings

_logger = logging.getLogger(__name__)


class KafkaLog:
    """Implements `Log`. Build it with `open`, within the loop that uses it."""

    def __init__(self, settings: RuntimeSettings, clock: Clock, registry: CollectorRegistry):
        self.clock = clock
        self._settings = settings
        self._metrics = KafkaMetrics(registry)
        self._admin = Admin(client_options(settings), settings.kafka_replication)
        self._publisher = Publisher(producer_options(settings), self._metrics)
        self._specs: dict[str, TopicSpec] = {}
        self._seats: dict[str, set[int]] = {}
        self._open: set[KafkaMember | KafkaReader] = set()
        self._closed = False

    @classmethod
    async def open(
        cls, settings: RuntimeSettings, clock: Clock, metrics: CollectorRegistry
    ) -> KafkaLog:
        """Connects to `settings.kafka_servers`. Raises LogUnavailable when no broker answers."""
        log = cls(settings, clock, metrics)
        try:
            await log._publisher.open()
        except BaseException:
            await log.close()
            raise
        return log

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Creates what is missing and brings retention and compaction of what exists to the table.
        Raises TopicMismatch, LogUnavailable."""
        self._check_open()
        unknown = [spec for spec in topics if self._specs.get(spec.name) != spec]
        if unknown:
            await self._admin.ensure(unknown)
            self._specs |= {spec.name: spec for spec in unknown}

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """Appends in order; on all in-sync replicas when it returns. See `kafka_producer.py`."""
        self._check_open()
        placed = []
        for record in records:
            spec = self._specs.get(record.topic) or await self._spec(record.topic)
            check_record(record, spec)
            placed.append((record, partition_for(record, spec)))
        return await self._publisher.publish(placed) if placed else []

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        """Joins a group; returns when the group has let it in. Raises UnknownTopic,
        LogUnavailable. `member` is the name of a static member: its earlier holder's session need
        not end first."""
        self._check_open()
        if not topics:
            raise UnknownTopic(f"{group} joined without a topic")
        for topic in topics:
            await self._spec(topic)
        seat = self._take_seat(group)
        options = member_options(self._settings, group, seat, member)

        def left(one: KafkaMember) -> None:
            self._open.discard(one)
            self._give_seat_back(group, seat)

        joined = KafkaMember(options, topics, start_from, self._admin, self._metrics, left)
        self._open.add(joined)
        await joined.enter()
        return joined

    async def read_all(self, topics: Sequence[str]) -> AllReader:
        """Opens an all-mode reader. Raises UnknownTopic, LogUnavailable."""
        self._check_open()
        specs = [await self._spec(topic) for topic in topics]
        places = [TopicPartition(s.name, n) for s in specs for n in range(s.partitions)]
        options = reader_options(self._settings)
        reader = KafkaReader(options, places, self._metrics, self._open.discard)
        self._open.add(reader)
        await reader.enter()
        return reader

    async def maintain(self) -> None:
        """Nothing: the brokers keep and compact by themselves."""

    async def close(self) -> None:
        """Closes members, readers and clients; everything afterwards raises LogUnavailable."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(self._publisher.close(), *[each.close() for each in self._open])
        await self._admin.close()

    async def _spec(self, topic: str) -> TopicSpec:
        """A topic of ours, or one that another process created."""
        if topic not in self._specs:
            self._specs[topic] = await self._admin.describe(topic)
        return self._specs[topic]

    def _take_seat(self, group: str) -> int:
        """The lowest free number: after a restart members find the names that they had."""
        taken = self._seats.setdefault(group, set())
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        taken.add(seat)
        return seat

    def _give_seat_back(self, group: str, seat: int) -> None:
        self._seats[group].discard(seat)
        if not self._seats[group]:
            del self._seats[group]

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")
