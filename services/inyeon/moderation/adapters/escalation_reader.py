"""The worker's loop: escalations from the log, opinions into store and outbox.

Models are asked for a whole polled batch at once and before any transaction: asking inside it would
hold the store's writer for as long as the models take, and asking one by one would leave them
nothing to batch. So the consumer polls through a reader that judges first and keeps the answers
until the handler, which runs in the transaction, fetches them. What is polled again is judged
again; the ledger lets only one answer have an effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from inyeon.moderation.adapters import opinion_book
from inyeon.moderation.adapters.opinion_wire import escalated_from
from inyeon.moderation.app.judging import Judging
from inyeon.moderation.app.ports import Answered, JudgingMeter
from inyeon.runtime.clock import Clock
from inyeon.runtime.log.consuming import (
    ConsumePolicy,
    ConsumerMetrics,
    ConsumeStats,
    InBatches,
    consume,
)
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import (
    AllReader,
    GroupConsumer,
    Log,
    NewRecord,
    Position,
    Record,
    TopicSpec,
)
from inyeon.runtime.log.topics import ESCALATIONS
from inyeon.runtime.store.port import Store, Transaction

GROUP = "moderation-workers"
AT_ONCE = 64  # what the models take at once; a larger batch would make its first record wait
POLL_S = 1.0

Place = tuple[str, int, int]


class EscalationReader:
    """Consumes `moderation.escalations` until cancelled."""

    def __init__(
        self,
        log: Log,
        store: Store,
        judging: Judging,
        clock: Clock,
        meter: JudgingMeter,
        metrics: ConsumerMetrics | None = None,
    ) -> None:
        self._log = log
        self._store = store
        self._judging = judging
        self._clock = clock
        self._meter = meter
        self._metrics = metrics
        self._answers: dict[Place, Answered] = {}
        self.stats = ConsumeStats()

    async def run(self) -> None:
        """Raises ConsumerStopped, UnknownTopic."""
        await consume(
            _JudgingLog(self._log, self._judge),
            GROUP,
            [ESCALATIONS],
            InBatches(self._apply),
            store=self._store,
            clock=self._clock,
            policy=ConsumePolicy(max_records=AT_ONCE, poll_s=POLL_S),
            stats=self.stats,
            metrics=self._metrics,
        )

    async def _judge(self, records: Sequence[Record]) -> None:
        self._answers.clear()  # the batch before is done
        readable = []
        for record in records:
            try:
                readable.append((_place(record), escalated_from(record)))
            except PoisonRecord:
                continue  # the handler meets it again and says so
        answers = await self._judging.all([escalated for _, escalated in readable])
        for (place, _), answer in zip(readable, answers, strict=True):
            self._answers[place] = answer

    async def _apply(self, records: Sequence[Record], tx: Transaction) -> None:
        answers = [
            self._answers.get(_place(record)) or await self._judging.one(escalated_from(record))
            for record in records
        ]
        self._meter.opened_cases(await opinion_book.note(tx, answers, self._clock.now()))


def _place(record: Record) -> Place:
    return record.topic, record.partition, record.offset


class _JudgingMember:
    """A member whose records are judged before they are handed out."""

    def __init__(
        self, member: GroupConsumer, judge: Callable[[Sequence[Record]], Awaitable[None]]
    ) -> None:
        self._member = member
        self._judge = judge

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        records = await self._member.poll(max_records, timeout_s)
        if records:
            await self._judge(records)
        return records

    def mark(self, positions: Sequence[Position]) -> None:
        self._member.mark(positions)

    async def commit(self, positions: Sequence[Position]) -> None:
        await self._member.commit(positions)

    def assigned(self) -> frozenset[tuple[str, int]]:
        return self._member.assigned()

    async def close(self) -> None:
        await self._member.close()


class _JudgingLog:
    """The log, with members that judge."""

    def __init__(self, log: Log, judge: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self._log = log
        self._judge = judge

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        await self._log.create_topics(topics)

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        return await self._log.publish(records)

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        return _JudgingMember(await self._log.join(group, topics, start_from, member), self._judge)

    async def read_all(self, topics: Sequence[str]) -> AllReader:
        return await self._log.read_all(topics)

    async def maintain(self) -> None:
        await self._log.maintain()

    async def close(self) -> None:
        await self._log.close()
