"""The runner of a consumer: at least once from the log, exactly one effect in the store.

Records come in batches, in the order of their partitions, and each batch is one transaction that
notes its records (see `store/ledger.py`) and runs the handler; offsets are committed after the
effect: ten times a second under load, at once when there is little to do, and before a partition
goes to another member. A record that comes again changes nothing.

    await consume(log, "matching", [topics.VERDICTS], apply_verdict, store=store, clock=clock)

What a handler raises decides what happens:

- nothing: the effect is committed;
- Unavailable, Overloaded, DeadlineExceeded: the batch is tried again, with growing pauses, for as
  long as it takes. There is no topic for delayed retries: what waits there would be overtaken by
  later records of its key, and what one record cannot reach the next one mostly cannot either. So
  order is kept by waiting, and nothing else of this member moves meanwhile;
- PoisonRecord: the record goes to `<topic>.dlq`, and its key is refused until its dead letters
  are replayed (`inyeon log replay`, see `replaying.py`);
- anything else: tried `attempts` times, then like PoisonRecord with the reason HANDLER_FAILED.

Past the limits of `PoisonLimit` the consumer raises ConsumerStopped. Back-pressure needs nothing: a
batch is polled when the one before it is done. A handler may run again after a crash, and for a
record whose neighbour failed, so what it does outside its transaction must bear repetition.
Without a store every record is by itself, nothing is noted, and dead keys are known only until the
process ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar, overload

from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogFenced, Unavailable
from inyeon.runtime.log.admitting import Admission
from inyeon.runtime.log.batching import (
    RETRIED,
    Action,
    ConsumeStats,
    Effect,
    EffectBatch,
    InBatches,
    Worker,
)
from inyeon.runtime.log.consuming_metrics import ConsumerMeter, ConsumerMetrics
from inyeon.runtime.log.diverting import Diverter
from inyeon.runtime.log.poison import PoisonCount, PoisonLimit
from inyeon.runtime.log.port import GroupConsumer, Log, Position, Record
from inyeon.runtime.log.processing import Spans
from inyeon.runtime.log.stuck import StuckDetector
from inyeon.runtime.log.topics import DLQ_KEPT, STATE_TOPICS, TOPICS, dlq_spec
from inyeon.runtime.store.ledger import Ledger
from inyeon.runtime.store.port import Store

__all__ = [
    "Action",
    "ConsumePolicy",
    "ConsumeStats",
    "ConsumerMetrics",
    "Effect",
    "EffectBatch",
    "InBatches",
    "consume",
]

PRUNE_EVERY_S = 600.0  # ids are kept for hours to days, so ten minutes more are nothing

# Of the 5 s that a task has at the end of its process; leaving a group takes up to 4.
LAST_COMMIT_S = 0.8

_RETENTION = {spec.name: spec.retention for spec in TOPICS}

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumePolicy:
    """How a consumer works."""

    # A handler of 100 ms x 512 = 51 s a poll, below the 75 s that Kafka's poll interval leaves.
    max_records: int = 512
    poll_s: float = 1.0
    attempts: int = 3
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 5.0
    # A commit is a round trip to the broker that the next batch waits for, and costs as much as ten
    # records; after a crash 0.1 s more comes again. By the loop's time: it spares the broker,
    # whatever the clock says. Without a store each batch is committed: there repetitions show.
    commit_every_s: float = 0.1
    stuck_s: float = 30.0
    poison: PoisonLimit = field(default_factory=PoisonLimit)


@overload
async def consume(
    log: Log,
    group: str,
    topics: Sequence[str],
    handler: Effect | InBatches,
    *,
    store: Store,
    clock: Clock,
    state_topics: Collection[str] = ...,
    policy: ConsumePolicy | None = ...,
    stats: ConsumeStats | None = ...,
    metrics: ConsumerMetrics | None = ...,
    tracer: Tracer | None = ...,
    member: str = ...,
) -> None: ...
@overload
async def consume(
    log: Log,
    group: str,
    topics: Sequence[str],
    handler: Action,
    *,
    store: None,
    clock: Clock,
    state_topics: Collection[str] = ...,
    policy: ConsumePolicy | None = ...,
    stats: ConsumeStats | None = ...,
    metrics: ConsumerMetrics | None = ...,
    tracer: Tracer | None = ...,
    member: str = ...,
) -> None: ...
async def consume(
    log: Log,
    group: str,
    topics: Sequence[str],
    handler: Effect | Action | InBatches,
    *,
    store: Store | None,
    clock: Clock,
    state_topics: Collection[str] = STATE_TOPICS,
    policy: ConsumePolicy | None = None,
    stats: ConsumeStats | None = None,
    metrics: ConsumerMetrics | None = None,
    tracer: Tracer | None = None,
    member: str = "",
) -> None:
    """Consumes until cancelled. Raises ConsumerStopped, UnknownTopic, LogFenced.

    `handler`: takes a record, or, wrapped in InBatches, many. `state_topics`: of these the highest
    `version` per key wins and a tombstone reaches the handler as a record without value; of all
    others event ids are kept. `metrics`: of the process, see `ConsumerMetrics`. `tracer`: None
    takes that of the process. `member`: a name that one member of the group has, see `Log.join`;
    LogFenced is for a holder whose name another took.
    """
    meter = ConsumerMeter(metrics or ConsumerMetrics(CollectorRegistry()), group, clock)
    consumer = _Consumer(
        log,
        group,
        topics,
        store,
        clock,
        policy or ConsumePolicy(),
        stats or ConsumeStats(),
        meter,
        member,
    )
    await consumer.run(handler, state_topics, Spans(group, tracer))


@dataclass(slots=True)
class _Consumer:
    """Polls, hands over to the worker, commits."""

    log: Log
    group: str
    topics: Sequence[str]
    store: Store | None
    clock: Clock
    policy: ConsumePolicy
    stats: ConsumeStats
    meter: ConsumerMeter
    name: str
    ledger: Ledger = field(init=False)
    stuck: StuckDetector = field(init=False)
    done: dict[tuple[str, int], Position] = field(init=False, default_factory=dict)
    pruned_s: float = field(init=False, default=float("-inf"))
    committed_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.group)
        self.stuck = StuckDetector(f"consumer {self.group}", self.clock, self.policy.stuck_s)

    async def run(
        self,
        handler: Effect | Action | InBatches,
        state_topics: Collection[str],
        spans: Spans,
    ) -> None:
        await self.patiently(self._create_dead_letters)
        member = await self.patiently(
            lambda: self.log.join(self.group, self.topics, member=self.name)
        )
        watching = asyncio.create_task(self.stuck.run())
        try:
            worker = self._worker(member, handler, state_topics, spans)
            while True:
                await self._batch(member, worker)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_COMMIT_S):
                        await self._commit(member)
            finally:
                await member.close()

    def _worker(
        self,
        member: GroupConsumer,
        handler: Effect | Action | InBatches,
        state_topics: Collection[str],
        spans: Spans,
    ) -> Worker:
        return Worker(
            group=self.group,
            handler=handler,
            store=self.store,
            clock=self.clock,
            admission=Admission(self.group, state_topics, self._expires),
            diverter=Diverter(self.log, self.group, self.store, self.clock),
            count=PoisonCount(self.policy.poison),
            stats=self.stats,
            meter=self.meter,
            spans=spans,
            stuck=self.stuck,
            retrying=self,
            attempts=self.policy.attempts,
            largest=self.policy.max_records,
            held=lambda record: (record.topic, record.partition) in member.assigned(),
            finished=self._finished,
        )

    def _finished(self, records: Sequence[Record]) -> None:
        for record in records:
            position = Position(record.topic, record.partition, record.offset)
            self.done[record.topic, record.partition] = position

    def _expires(self, topic: str) -> datetime:
        # From now, not from when it was published: a consumer that is late keeps ids as long as one
        # that is not. Dead letters keep their ids in them.
        return self.clock.now() + (_RETENTION.get(topic) or DLQ_KEPT) + timedelta(hours=1)

    async def _create_dead_letters(self) -> None:
        await self.log.create_topics([dlq_spec(topic) for topic in self.topics])

    async def _batch(self, member: GroupConsumer, worker: Worker) -> None:
        await self._prune()
        wait_s = self.policy.poll_s
        if self.done:
            wait_s = min(wait_s, self._until_commit_s())
        records = await self.patiently(lambda: member.poll(self.policy.max_records, wait_s))
        try:
            await worker.work(records)
        finally:
            # Also when stopped in the middle: what is done is done, and need not come again.
            member.mark(list(self.done.values()))
        if self.store is None or self._until_commit_s() == 0.0:
            await self._commit(member)

    def _until_commit_s(self) -> float:
        return max(
            0.0, self.committed_s + self.policy.commit_every_s - asyncio.get_running_loop().time()
        )

    async def _commit(self, member: GroupConsumer) -> None:
        """Commits what is done; what cannot be committed now goes with the next batch."""
        held = member.assigned()
        self.done = {place: position for place, position in self.done.items() if place in held}
        if not self.done:
            return
        self.committed_s = asyncio.get_running_loop().time()
        try:
            await member.commit(list(self.done.values()))
            self.done.clear()
        except LogFenced as error:
            self.stats.fenced += 1
            _logger.warning(
                "%s: another holder repeats what is not committed: %s", self.group, error
            )
        except Unavailable as error:
            _logger.warning("%s: offsets not committed yet: %s", self.group, error)

    async def _prune(self) -> None:
        if self.store is None or self.clock.monotonic() - self.pruned_s < PRUNE_EVERY_S:
            return
        self.pruned_s = self.clock.monotonic()
        with suppress(Unavailable):
            async with self.store.transaction() as tx:
                await self.ledger.prune(tx.connection, self.clock.now())

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats what may succeed later, for as long as it takes."""
        attempt = 0
        while True:
            try:
                return await call()
            except RETRIED as error:
                attempt += 1
                self.stats.retried += 1
                self.meter.retried()
                _logger.warning("%s: tries again (%d): %s", self.group, attempt, error)
                await self.pause(attempt)

    async def pause(self, failures: int) -> None:
        """Waits longer the more failures there were."""
        growing_s = self.policy.first_backoff_s * 2.0 ** min(failures - 1, 20)
        await self.clock.sleep(min(growing_s, self.policy.longest_backoff_s))
