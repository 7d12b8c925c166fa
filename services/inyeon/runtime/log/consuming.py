"""The runner of a consumer: at least once from the log, exactly one effect in the store.

For each record, in the order of its partition: one transaction that notes the record (see
`store/ledger.py`) and runs the handler; the offset is committed after the effect. A record that
comes again changes nothing.

    await consume(log, "matching", [topics.VERDICTS], apply_verdict, store=store, clock=clock)

What a handler raises decides what happens:

- nothing: the effect is committed;
- Unavailable, Overloaded, DeadlineExceeded: tried again, with growing pauses, for as long as it
  takes (order is kept by waiting; nothing else of this member moves meanwhile);
- PoisonRecord: the record goes to `<topic>.dlq`, and its key is refused until its dead letters
  are replayed;
- anything else: tried `attempts` times, then like PoisonRecord with the reason HANDLER_FAILED.

Past the limits of `PoisonLimit` the consumer raises ConsumerStopped. Back-pressure needs nothing: a
batch is polled when the one before it is done. A handler may run again after a crash, so what it
does outside its transaction must bear repetition.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, overload

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import (
    DeadlineExceeded,
    LogFenced,
    Overloaded,
    Unavailable,
)
from inyeon.runtime.log.envelope import event_id_of, version_of
from inyeon.runtime.log.poison import (
    HANDLER_FAILED,
    KEY_REFUSED,
    PoisonCount,
    PoisonLimit,
    PoisonRecord,
    dead_letter,
)
from inyeon.runtime.log.port import GroupConsumer, Log, Position, Record
from inyeon.runtime.log.stuck import StuckDetector
from inyeon.runtime.log.topics import DLQ_KEPT, STATE_TOPICS, TOPICS, dlq_spec
from inyeon.runtime.store.ledger import Admission, Ledger
from inyeon.runtime.store.port import Store, Transaction

Effect = Callable[[Record, Transaction], Awaitable[None]]
"""A handler with a store: its effect goes into the transaction."""
Action = Callable[[Record, None], Awaitable[None]]
"""A handler without a store: what it does must bear repetition."""

PRUNE_EVERY_S = 600.0  # ids are kept for hours to days, so ten minutes more are nothing

_RETRIED = (Unavailable, Overloaded, DeadlineExceeded)
_RETENTION = {spec.name: spec.retention for spec in TOPICS}

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumePolicy:
    """How a consumer works."""

    # A handler of 20 ms x 256 = 5 s a batch, far below the 75 s that Kafka's poll interval leaves.
    max_records: int = 256
    poll_s: float = 1.0
    attempts: int = 3
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 5.0
    stuck_s: float = 30.0
    poison: PoisonLimit = field(default_factory=PoisonLimit)


@dataclass(slots=True)
class ConsumeStats:
    """What a consumer did so far; for metrics and tests."""

    applied: int = 0
    seen: int = 0
    refused: int = 0
    poison: int = 0
    retried: int = 0
    fenced: int = 0


@overload
async def consume(
    log: Log,
    group: str,
    topics: Sequence[str],
    handler: Effect,
    *,
    store: Store,
    clock: Clock,
    state_topics: Collection[str] = ...,
    policy: ConsumePolicy = ...,
    stats: ConsumeStats | None = ...,
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
    policy: ConsumePolicy = ...,
    stats: ConsumeStats | None = ...,
) -> None: ...
async def consume(
    log: Log,
    group: str,
    topics: Sequence[str],
    handler: Effect | Action,
    *,
    store: Store | None,
    clock: Clock,
    state_topics: Collection[str] = STATE_TOPICS,
    policy: ConsumePolicy | None = None,
    stats: ConsumeStats | None = None,
) -> None:
    """Consumes until cancelled. Raises ConsumerStopped, UnknownTopic.

    `state_topics`: of these the highest `version` per key wins and a tombstone reaches the handler
    as a record without value; of all others event ids are kept. Without a store nothing is noted:
    records may come again.
    """
    await _Consumer(
        log,
        group,
        topics,
        handler,
        store,
        clock,
        state_topics,
        policy or ConsumePolicy(),
        stats or ConsumeStats(),
    ).run()


@dataclass(slots=True)
class _Consumer:
    log: Log
    group: str
    topics: Sequence[str]
    handler: Effect | Action
    store: Store | None
    clock: Clock
    state_topics: Collection[str]
    policy: ConsumePolicy
    stats: ConsumeStats
    ledger: Ledger = field(init=False)
    count: PoisonCount = field(init=False)
    stuck: StuckDetector = field(init=False)
    done: dict[tuple[str, int], Position] = field(init=False, default_factory=dict)
    dead: set[tuple[str, str]] = field(init=False, default_factory=set)
    pruned_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.group)
        self.count = PoisonCount(self.policy.poison)
        self.stuck = StuckDetector(f"consumer {self.group}", self.clock, self.policy.stuck_s)

    async def run(self) -> None:
        await self._patiently(self._create_dead_letters)
        member = await self._patiently(lambda: self.log.join(self.group, self.topics))
        watching = asyncio.create_task(self.stuck.run())
        try:
            while True:
                await self._batch(member)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await member.close()

    async def _create_dead_letters(self) -> None:
        await self.log.create_topics([dlq_spec(topic) for topic in self.topics])

    async def _batch(self, member: GroupConsumer) -> None:
        await self._prune()
        records = await self._patiently(
            lambda: member.poll(self.policy.max_records, self.policy.poll_s)
        )
        try:
            for record in records:
                place = (record.topic, record.partition)
                if place in member.assigned():
                    await self._finish(record)
                    self.done[place] = Position(record.topic, record.partition, record.offset)
        finally:
            # Also when stopped in the middle: what is done is done, and need not come again.
            await self._commit(member)

    async def _commit(self, member: GroupConsumer) -> None:
        """Commits what is done; what cannot be committed now goes with the next batch."""
        held = member.assigned()
        self.done = {place: position for place, position in self.done.items() if place in held}
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

    async def _finish(self, record: Record) -> None:
        """Applies a record or diverts it; returns only when one of both is durable."""
        with self.stuck.working(f"{record.topic}/{record.partition}@{record.offset}"):
            try:
                await self._apply(record)
            except PoisonRecord as poison:
                place = f"{record.topic}/{record.partition}@{record.offset}"
                _logger.error("%s: %s is poison: %s", self.group, place, poison)
                await self._divert(record, poison)
                self.stats.poison += 1
                self.count.poison(record)

    async def _apply(self, record: Record) -> None:
        failures = 0
        while True:
            try:
                admission = await self._patiently(lambda: self._effect(record))
                break
            except PoisonRecord:
                raise
            except Exception as error:
                failures += 1
                self.stats.retried += 1
                if failures >= self.policy.attempts:
                    raise PoisonRecord(
                        HANDLER_FAILED, f"{type(error).__name__}: {error}"
                    ) from error
                await self.clock.sleep(self._backoff_s(failures))
        await self._note(record, admission)

    async def _note(self, record: Record, admission: Admission) -> None:
        if admission is Admission.REFUSED:
            await self._divert(record, PoisonRecord(KEY_REFUSED, "follows a poison record"))
            self.stats.refused += 1
            return
        self.count.good()
        if admission is Admission.APPLY:
            self.stats.applied += 1
        else:
            self.stats.seen += 1

    async def _effect(self, record: Record) -> Admission:
        if self.store is None:
            return await self._act(record)
        async with self.store.transaction() as tx:
            admission = await self._admit(record, tx)
            if admission is Admission.APPLY:
                await self.handler(record, tx)  # type: ignore[arg-type]
            return admission

    async def _act(self, record: Record) -> Admission:
        if (record.topic, record.key) in self.dead:
            return Admission.REFUSED
        await self.handler(record, None)  # type: ignore[arg-type]
        return Admission.APPLY

    async def _admit(self, record: Record, tx: Transaction) -> Admission:
        if record.topic in self.state_topics:
            return await self.ledger.admit_version(tx.connection, record, version_of(record))
        kept = _RETENTION.get(record.topic) or DLQ_KEPT
        # From now, not from when it was published: a consumer that is late keeps ids as long as one
        # that is not.
        expires = self.clock.now() + kept + timedelta(hours=1)
        return await self.ledger.admit_event(tx.connection, record, event_id_of(record), expires)

    async def _divert(self, record: Record, poison: PoisonRecord) -> None:
        """Dead letter first, then the dead key: a crash between the two repeats the letter and
        loses nothing."""
        letter = dead_letter(record, self.group, poison)
        await self._patiently(lambda: self.log.publish([letter]))
        self.dead.add((record.topic, record.key))
        await self._patiently(lambda: self._refuse(record, poison.reason))

    async def _refuse(self, record: Record, reason: str) -> None:
        if self.store is not None:
            async with self.store.transaction() as tx:
                await self.ledger.refuse(tx.connection, record, reason, self.clock.now())

    async def _prune(self) -> None:
        if self.store is None or self.clock.monotonic() - self.pruned_s < PRUNE_EVERY_S:
            return
        self.pruned_s = self.clock.monotonic()
        with suppress(Unavailable):
            async with self.store.transaction() as tx:
                await self.ledger.prune(tx.connection, self.clock.now())

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats what may succeed later, for as long as it takes."""
        attempt = 0
        while True:
            try:
                return await call()
            except _RETRIED as error:
                attempt += 1
                self.stats.retried += 1
                _logger.warning("%s: tries again (%d): %s", self.group, attempt, error)
                await self.clock.sleep(self._backoff_s(attempt))

    def _backoff_s(self, attempt: int) -> float:
        growing_s = self.policy.first_backoff_s * 2.0 ** min(attempt - 1, 20)
        return min(growing_s, self.policy.longest_backoff_s)
