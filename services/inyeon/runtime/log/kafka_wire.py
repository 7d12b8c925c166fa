"""Records to and from the client's form.

What others have written may be anything: no key, keys and headers that are no UTF-8, times before
the epoch. It becomes a record all the same, so that it reaches the consumer and its dead letters:
a missing key is "", bytes that are no UTF-8 read as backslash escapes, of two headers with one name
the last counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from inyeon.runtime.log.port import Record

Headers = list[tuple[str, bytes]]

_EPOCH = datetime.fromtimestamp(0, UTC)


class Fetched(Protocol):
    """What we use of the client's record. `timestamp`: ms since the epoch, -1 where unknown."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def wire_headers(headers: Mapping[str, str]) -> Headers:
    """Headers to send."""
    return [(name, text.encode()) for name, text in headers.items()]


def records_from(fetched: Iterable[Fetched]) -> list[Record]:
    """Records of one or more partitions, in order."""
    return [
        Record(
            one.topic,
            one.partition,
            one.offset,
            _text(one.key),
            one.value,
            {name: _text(value) for name, value in one.headers},
            _moment(one.timestamp),
        )
        for one in fetched
    ]


def _text(data: bytes | None) -> str:
    if data is None:
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace")


def _moment(timestamp_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp_ms / 1e3, UTC)
    except (OverflowError, ValueError, OSError):
        return _EPOCH
