"""Records that no retry will make good: how they are named, diverted, and how many are too many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from inyeon.runtime.errors import ConsumerStopped
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.records import DLQ_EXTRA_BYTES, DLQ_SUFFIX

KEY_REFUSED = "KEY_REFUSED"
"""Reason of a record that is itself good but follows a poison one of its key."""
HANDLER_FAILED = "HANDLER_FAILED"
"""Reason of a record whose handler kept raising what it should not."""

_DETAIL_CHARACTERS = DLQ_EXTRA_BYTES // 8  # at most 4 bytes each: half of what dead letters may add


class PoisonRecord(Exception):
    """Raised by a handler: this record can never be applied. `reason` is UPPER_SNAKE, `detail` for
    people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def dead_letter(record: Record, group: str, poison: PoisonRecord) -> NewRecord:
    """The record as it goes to the dead letters of its topic: whole, with its origin and the reason
    in headers."""
    origin = {
        "dlq_reason": poison.reason,
        "dlq_detail": poison.detail[:_DETAIL_CHARACTERS].encode(errors="replace").decode(),
        "dlq_group": group,
        "dlq_topic": record.topic,
        "dlq_partition": str(record.partition),
        "dlq_offset": str(record.offset),
    }
    if record.value is None:
        origin["dlq_tombstone"] = "1"
    headers = {**record.headers, **origin}
    return NewRecord(record.topic + DLQ_SUFFIX, record.key, record.value or b"", headers)


@dataclass(frozen=True, slots=True)
class PoisonLimit:
    """How much may be diverted before the consumer stops: one bad deployment must not divert
    everything.

    The limits are those that Sentry runs in arroyo (getsentry/arroyo#314). The share counts over
    the last `window` records and only from `judged_from` on, because one of the first ten is not a
    trend.
    """

    share: float = 0.01
    in_a_row: int = 1_000
    window: int = 10_000
    judged_from: int = 1_000


class PoisonCount:
    """Counts good and poison records of one consumer. Refused followers of a poison record are not
    counted."""

    def __init__(self, limit: PoisonLimit) -> None:
        self._limit = limit
        self._last: deque[bool] = deque(maxlen=limit.window)
        self._poison = 0
        self._row = 0

    def good(self) -> None:
        """A record was applied or seen before."""
        self._row = 0
        self._add(False)

    def poison(self, record: Record) -> None:
        """A record was diverted. Raises ConsumerStopped past a limit."""
        self._row += 1
        self._add(True)
        seen = len(self._last)
        too_many = seen >= self._limit.judged_from and self._poison > self._limit.share * seen
        if too_many or self._row >= self._limit.in_a_row:
            place = f"{record.topic}/{record.partition}@{record.offset}"
            said = f"{self._poison} poison records among the last {seen}, {self._row} in a row"
            raise ConsumerStopped(f"{said}, the last one at {place}")

    def _add(self, poison: bool) -> None:
        if len(self._last) == self._last.maxlen:
            self._poison -= self._last[0]
        self._last.append(poison)
        self._poison += poison
