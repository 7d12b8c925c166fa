"""Records that no retry will make good: how they are named, diverted, and how many are too many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from inyeon.runtime.errors import ConsumerStopped
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.records import (
    DLQ_EXTRA_BYTES,
    DLQ_SUFFIX,
    KEY_LIMIT_BYTES,
    RECORD_LIMIT_BYTES,
)
from inyeon.runtime.log.replays import FROM, HEADERS

KEY_REFUSED = "KEY_REFUSED"
"""Reason of a record that is itself good but follows a poison one of its key."""
HANDLER_FAILED = "HANDLER_FAILED"
"""Reason of a record whose handler kept raising what it should not."""
KEY_MISMATCH = "KEY_MISMATCH"
"""Reason of a record whose key is not the one that its value speaks of."""
KEY_UNUSABLE = "KEY_UNUSABLE"
"""Reason of a record whose key is missing, too long or no text: only strangers write those."""

NO_KEY = "(none)"
"""Key of the dead letter of a record without a usable one."""

_DETAIL_CHARACTERS = DLQ_EXTRA_BYTES // 8  # at most 4 bytes each: half of what dead letters may add
_ENVELOPE = ("event_id", "type", "schema_version", "occurred_at", "version", "traceparent")
_PLACE_CHARACTERS = 40  # two numbers below 2**63 and an @
_HEADER_CHARACTERS = (
    256  # of a header kept from a record that is too large: an envelope's are < 100
)


class PoisonRecord(Exception):
    """Raised by a handler: this record can never be applied. `reason` is UPPER_SNAKE, `detail` for
    people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def expect_key(record: Record, key: str) -> None:
    """For handlers: the value speaks of `key`. Raises PoisonRecord (KEY_MISMATCH): order and
    compaction go by the key, so a wrong one would break both for somebody else."""
    if record.key != key:
        raise PoisonRecord(KEY_MISMATCH, f"key is {record.key!r}, the value is about {key!r}")


def check_key(record: Record) -> None:
    """Raises PoisonRecord (KEY_UNUSABLE)."""
    fault = _fault_of_key(record.key)
    if fault:
        raise PoisonRecord(KEY_UNUSABLE, fault)


def dead_letter(record: Record, group: str, poison: PoisonRecord) -> NewRecord:
    """The record as it goes to the dead letters of its topic: whole, with its origin and the reason
    in headers.

    `dlq_partition` and `dlq_offset`: where it was refused; `dlq_origin`: where it was refused
    first, which differs once it was replayed. What only a stranger can have written, an unusable
    key or more bytes than the log takes, is cut to fit (`dlq_cut` counts what it had); such a
    letter is for people and is not replayed.
    """
    place = f"{record.partition}@{record.offset}"
    origin = {
        "dlq_reason": poison.reason,
        "dlq_detail": poison.detail[:_DETAIL_CHARACTERS].encode(errors="replace").decode(),
        "dlq_group": group,
        "dlq_topic": record.topic,
        "dlq_partition": str(record.partition),
        "dlq_offset": str(record.offset),
        "dlq_origin": (record.headers.get(FROM) or place)[:_PLACE_CHARACTERS],
    }
    if record.value is None:
        origin["dlq_tombstone"] = "1"
    headers = {name: said for name, said in record.headers.items() if name not in HEADERS}
    value = record.value or b""
    size = _size(record.key, value, headers)
    unusable = bool(_fault_of_key(record.key))
    if unusable or size > RECORD_LIMIT_BYTES:
        origin["dlq_cut"] = str(size)
        kept = {name: headers[name] for name in _ENVELOPE if name in headers}
        headers = {n: _text(said)[:_HEADER_CHARACTERS] for n, said in kept.items()}
        value = value[: RECORD_LIMIT_BYTES // 2]
    key = NO_KEY if unusable else record.key
    return NewRecord(record.topic + DLQ_SUFFIX, key, value, {**headers, **origin})


def _fault_of_key(key: str) -> str:
    if not key:
        return "key is empty"
    if "\0" in key or _text(key) != key:
        return "key is no text"
    size = len(key.encode())
    return f"key has {size} bytes, limit {KEY_LIMIT_BYTES}" if size > KEY_LIMIT_BYTES else ""


def _size(key: str, value: bytes, headers: dict[str, str]) -> int:
    texts = [key, *headers, *headers.values()]
    return len(value) + sum(len(_text(text).encode()) for text in texts)


def _text(said: str) -> str:
    return said if said.isascii() else said.encode(errors="replace").decode()


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
