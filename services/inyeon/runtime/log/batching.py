"""The work of a consumer: batches of records become effects, each batch in one transaction.

A batch that fails is rolled back and done again in pieces: what was before the failing record, that
record by itself, what is behind it (or halves, where nobody knows which one failed). So a poison
record goes aside alone, the good ones keep exactly one effect, and order is kept. Three statements
note a whole batch, so a record costs hardly more than its handler.

A transaction holds locks that others wait for (SQLite: the only one), so batches are as large as
their handler is fast.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import DeadlineExceeded, Overloaded, Unavailable
from inyeon.runtime.log.admitting import Admission, Admitted, Fate, sort_out
from inyeon.runtime.log.consuming_metrics import ConsumerMeter
from inyeon.runtime.log.diverting import Diverter
from inyeon.runtime.log.poison import (
    HANDLER_FAILED,
    KEY_REFUSED,
    PoisonCount,
    PoisonRecord,
    check_key,
)
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.processing import Spans
from inyeon.runtime.log.stuck import StuckDetector
from inyeon.runtime.store.port import Store, Transaction

Effect = Callable[[Record, Transaction], Awaitable[None]]
"""A handler with a store: its effect goes into the transaction."""
Action = Callable[[Record, None], Awaitable[None]]
"""A handler without a store: what it does must bear repetition."""
EffectBatch = Callable[[Sequence[Record], Transaction], Awaitable[None]]
"""A handler that takes what is to be applied of a batch at once, in order, and leaves nothing
behind when it raises."""

RETRIED = (Unavailable, Overloaded, DeadlineExceeded)

# Other writers wait 5 s (WRITE_WAIT_S) for SQLite's one lock; a twentieth of that goes unnoticed.
LONG_S = 0.25
SHORT_S = 0.05
FIRST_SIZE = 32

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InBatches:
    """Marks a handler that takes batches: `consume(..., InBatches(apply_all), store=store, ...)`.

    For effects that are one statement for many records. Poison is found by halving the batch, so
    the handler runs about 2 log2(n) times for one bad record among n.
    """

    apply: EffectBatch


@dataclass(slots=True)
class ConsumeStats:
    """What a consumer did so far; for tests and benches. Operators read the metrics."""

    applied: int = 0
    seen: int = 0
    refused: int = 0
    poison: int = 0
    retried: int = 0
    fenced: int = 0


class Retrying(Protocol):
    """Repeats what may succeed later."""

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Until it does not raise one of RETRIED."""
        ...

    async def pause(self, failures: int) -> None:
        """Waits longer the more failures there were."""
        ...


class PartitionLost(Exception):
    """A partition of the batch went to another member while it was in hand."""


@dataclass(slots=True)
class _Trial:
    """One transaction's worth of records; `at` is the index of the one whose handler runs."""

    records: Sequence[Record]
    at: int | None = None


@dataclass(slots=True)
class Worker:
    """Applies or diverts records, in order; what it has finished is durable."""

    group: str
    handler: Effect | Action | InBatches
    store: Store | None
    clock: Clock
    admission: Admission
    diverter: Diverter
    count: PoisonCount
    stats: ConsumeStats
    meter: ConsumerMeter
    spans: Spans
    stuck: StuckDetector
    retrying: Retrying
    attempts: int
    largest: int
    held: Callable[[Record], bool]
    finished: Callable[[Sequence[Record]], None]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = min(FIRST_SIZE, self.largest)

    async def work(self, records: Sequence[Record]) -> None:
        """Returns when each record is applied, diverted, or of a partition that is lost. Raises
        ConsumerStopped."""
        rest = records
        while rest:
            # Without a transaction there is no way back, so each record is by itself.
            size = 1 if self.store is None else self.size
            began_s = self.clock.monotonic()
            await self._piece([record for record in rest[:size] if self.held(record)])
            self._fit(self.clock.monotonic() - began_s)
            rest = rest[size:]

    def _fit(self, took_s: float) -> None:
        self.meter.batch(took_s)
        if took_s > LONG_S:
            self.size = max(1, self.size // 2)
        elif took_s < SHORT_S:
            self.size = min(self.largest, self.size * 2)

    async def _piece(self, records: Sequence[Record]) -> None:
        while records:
            trial = _Trial(records)
            try:
                await self._try(trial)
                return
            except PartitionLost:
                records = [record for record in records if self.held(record)]
            except Exception as error:
                records = await self._isolate(trial, error)

    async def _isolate(self, trial: _Trial, error: Exception) -> Sequence[Record]:
        """Finishes a failed trial up to and including the record that failed, or half of it;
        returns the rest."""
        records = trial.records
        if trial.at is None and len(records) > 1:
            half = len(records) // 2
            await self._piece(records[:half])
            return records[half:]
        bad = trial.at or 0
        await self._piece(records[:bad])
        await self._alone(records[bad], error)
        return records[bad + 1 :]

    async def _alone(self, record: Record, error: Exception) -> None:
        failures = 1
        while not isinstance(error, PoisonRecord):
            self._retried()
            if failures >= self.attempts:
                error = PoisonRecord(HANDLER_FAILED, f"{type(error).__name__}: {error}")
                break
            await self.retrying.pause(failures)
            try:
                await self._try(_Trial([record]))
                return
            except PartitionLost:
                return
            except Exception as again:
                error, failures = again, failures + 1
        await self._poison(record, error)

    async def _try(self, trial: _Trial) -> None:
        """One transaction, repeated while its failures may pass. Whatever else is raised has left
        nothing behind."""
        with self.stuck.working(_place(trial.records[0], len(trial.records))):
            admitted = await self.retrying.patiently(lambda: self._effects(trial))
        await self._note(trial.records, admitted.fates)

    async def _effects(self, trial: _Trial) -> Admitted:
        for i, record in enumerate(trial.records):
            trial.at = i
            check_key(record)
            if self.store is not None:
                self.admission.check(record)
        trial.at = None
        if self.store is None:
            return await self._act(trial)
        async with self.store.transaction() as tx:
            admitted = await self.admission.admit(tx.connection, trial.records)
            await self._apply(trial, admitted.fates, tx)
            trial.at = None
            return admitted

    async def _apply(self, trial: _Trial, fates: Sequence[Fate], tx: Transaction) -> None:
        handler = self.handler
        chosen = [i for i, fate in enumerate(fates) if fate is Fate.APPLY]
        if isinstance(handler, InBatches):
            if chosen:
                records = [trial.records[i] for i in chosen]
                with self.spans.of_batch(records):
                    await handler.apply(records, tx)
            self._check_held(trial.records)
            return
        for i in chosen:
            trial.at, record = i, trial.records[i]
            self._check_held([record])
            with self.spans.of(record):
                await handler(record, tx)  # type: ignore[arg-type]

    async def _act(self, trial: _Trial) -> Admitted:
        """Without a store: records are one by one."""
        dead = dict(self.diverter.dead)
        admitted = sort_out(trial.records, self.group, dead)
        trial.at = 0
        if admitted.fates == [Fate.APPLY]:
            with self.spans.of(trial.records[0]):
                await self.handler(trial.records[0], None)  # type: ignore[operator, arg-type]
        for key in admitted.released:
            self.diverter.dead.pop(key, None)
        return admitted

    def _check_held(self, records: Sequence[Record]) -> None:
        if not all(self.held(record) for record in records):
            raise PartitionLost

    async def _note(self, records: Sequence[Record], fates: Sequence[Fate]) -> None:
        refused = [r for r, fate in zip(records, fates, strict=True) if fate is Fate.REFUSED]
        if refused:
            await self._divert(refused, PoisonRecord(KEY_REFUSED, "follows a poison record"))
        self.finished(records)
        for record, fate in zip(records, fates, strict=True):
            self.meter.record(record, fate)
            if fate is not Fate.REFUSED:
                self.count.good()
        self.stats.applied += fates.count(Fate.APPLY)
        self.stats.seen += fates.count(Fate.SEEN)
        self.stats.refused += len(refused)

    async def _poison(self, record: Record, poison: PoisonRecord) -> None:
        _logger.error("%s: %s is poison: %s", self.group, _place(record, 1), poison)
        with self.stuck.working(f"dead letter of {_place(record, 1)}"):
            await self._divert([record], poison)
        self.finished([record])
        self.stats.poison += 1
        self.meter.poison(record)
        self.count.poison(record)

    async def _divert(self, records: Sequence[Record], poison: PoisonRecord) -> None:
        await self.retrying.patiently(lambda: self.diverter.publish(records, poison))
        await self.retrying.patiently(lambda: self.diverter.refuse(records, poison.reason))
        self.meter.dead_letters(records, poison.reason)

    def _retried(self) -> None:
        self.stats.retried += 1
        self.meter.retried()


def _place(record: Record, count: int) -> str:
    more = f" and {count - 1} more" if count > 1 else ""
    return f"{record.topic}/{record.partition}@{record.offset}{more}"
