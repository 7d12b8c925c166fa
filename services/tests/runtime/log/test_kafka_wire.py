"""Records from the client's form, whatever somebody wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.log.kafka_wire import records_from, wire_headers

pytestmark = pytest.mark.unit


@dataclass
class _Fetched:
    topic: str = "t"
    partition: int = 3
    offset: int = 7
    timestamp: int = 1_700_000_000_123
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def test_a_record_of_ours() -> None:
    (record,) = records_from([_Fetched(headers=[("type", b"a"), ("traceparent", b"00-1-2-01")])])
    assert (record.topic, record.partition, record.offset) == ("t", 3, 7)
    assert (record.key, record.value) == ("k", b"v")
    assert record.headers == {"type": "a", "traceparent": "00-1-2-01"}
    assert record.published_at == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)


def test_what_is_missing_or_no_text() -> None:
    (record,) = records_from(
        [_Fetched(key=None, value=None, headers=[("a", None), ("b", b"\xff")])]
    )
    assert (record.key, record.value) == ("", None)
    assert record.headers == {"a": "", "b": "\\xff"}


@pytest.mark.parametrize("timestamp", [-1, -(2**63), 2**63 - 1])
def test_times_that_are_none(timestamp: int) -> None:
    (record,) = records_from([_Fetched(timestamp=timestamp)])
    assert record.published_at.tzinfo is not None


@given(st.dictionaries(st.text(), st.text()))
def test_headers_come_back(headers: Mapping[str, str]) -> None:
    sent: list[tuple[str, bytes | None]] = [(n, v) for n, v in wire_headers(headers)]
    (record,) = records_from([_Fetched(headers=sent)])
    assert record.headers == headers


@given(
    st.none() | st.binary(), st.lists(st.tuples(st.text(), st.none() | st.binary())), st.integers()
)
def test_anything_becomes_a_record(
    key: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    (record,) = records_from([_Fetched(key=key, headers=headers, timestamp=timestamp)])
    record.key.encode()
    assert set(record.headers) == {name for name, _ in headers}
