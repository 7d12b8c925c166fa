"""An all-mode reader on Kafka: every partition, from the start, in no group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kafka import TopicPartition as Place

from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.consuming_metrics import ALL
from inyeon.runtime.log.kafka_blocking import blocking
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_poller import CLOSE_S, Poller, position_of
from inyeon.runtime.log.kafka_settings import BOOTSTRAP_S, REQUEST_S, Options
from inyeon.runtime.log.port import Record

OPEN_S = BOOTSTRAP_S + 2 * REQUEST_S  # connect, and ask for the first and the last offsets


class KafkaReader(Poller):
    """Implements `AllReader`. Use after `enter`; `left` is called once when it is closed."""

    def __init__(
        self,
        options: Options,
        places: Sequence[Place],
        metrics: KafkaMetrics,
        left: Callable[[KafkaReader], None],
    ) -> None:
        super().__init__(options, ALL, metrics)
        self._left = left
        self._next: dict[Place, int] = dict.fromkeys(places, 0)
        """Offsets to return next: where a new client goes on."""
        self._positions: dict[Place, int] = {}
        """How far the thread is; written after its records are handed over."""
        self._behind: dict[Place, int] | None = None
        """Partitions with something that has not been returned, with their end at the opening."""
        self._closing: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Returns when it is known what there is to read. Raises LogUnavailable; then it is
        closed."""
        self.start()
        try:
            async with asyncio.timeout(OPEN_S):
                while self._behind is None:
                    self.check_open()
                    await self.buffer.wait(OPEN_S)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise LogUnavailable(f"no answer for {OPEN_S:g} s") from error
            raise

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records."""
        records = await self.take(max_records, timeout_s)
        for record in records:
            self._next[Place(record.topic, record.partition)] = record.offset + 1
        return records

    async def caught_up(self) -> bool:
        """Everything that was in the log when the reader opened has been returned. Where the end
        was compacted away nothing of it ever comes: then the thread's position counts."""
        behind = self._behind or {}
        positions = dict(self._positions)  # before the look at what was not taken
        waiting = self.buffer.waiting()
        for place, end in list(behind.items()):
            passed = positions.get(place, 0) >= end and place.topic not in waiting
            if self._next[place] >= end or passed:
                behind.pop(place)
        return self._behind is not None and not behind

    async def close(self) -> None:
        """Stops reading, within some 3 s whatever the broker does."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def begin(self, consumer: Any) -> None:
        """Takes every partition."""
        consumer.assign(list(self._next))
        if self._behind is None:
            timeout_ms = int(REQUEST_S * 1e3)
            firsts = consumer.beginning_offsets(list(self._next), timeout_ms=timeout_ms)
            ends = consumer.end_offsets(list(self._next), timeout_ms=timeout_ms)
            self._behind = {p: end for p, end in ends.items() if end > firsts[p]}
            self.buffer.wake()
        for place, offset in self._next.items():
            if offset:
                consumer.seek(place, offset)
            else:
                consumer.seek_to_beginning(place)

    def polled(self, consumer: Any) -> None:
        """Says how far it is while somebody wants to know."""
        for place in list(self._behind or ()):
            if consumer.highwater(place) is not None:
                self._positions[place] = position_of(consumer, place)

    def reset(self) -> None:
        """The next client begins where the application is."""
        self._positions.clear()
        self.relook()

    async def _close(self) -> None:
        self.stop()
        with suppress(LogUnavailable):
            await blocking("reader-end", self.wait_for_end, 2 * CLOSE_S)
        self.metrics.behind(ALL, id(self), {})
        self._left(self)
