"""Partitions as Kafka has them, and what a record may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.errors import InvalidRecord, RecordTooLarge
from inyeon.runtime.log.port import NewRecord, TopicSpec
from inyeon.runtime.log.records import (
    DLQ_EXTRA_BYTES,
    RECORD_LIMIT_BYTES,
    check_record,
    murmur2,
    partition_for,
    partition_of,
)

pytestmark = pytest.mark.unit


# From Apache Kafka's own UtilsTest.testMurmur2.
@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, hashed: int) -> None:
    assert murmur2(data) == hashed % 2**32


@given(st.text(min_size=1, max_size=40), st.integers(1, 64))
def test_a_partition_is_one_of_the_topics(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


def test_the_partition_key_decides_where_there_is_one() -> None:
    spec = TopicSpec("t", 16)
    assert partition_for(NewRecord("t", "a", b""), spec) == partition_of("a", 16)
    assert partition_for(NewRecord("t", "a", b"", {}, "pool"), spec) == partition_of("pool", 16)


def test_counts_bytes_not_characters() -> None:
    spec = TopicSpec("t")
    with pytest.raises(RecordTooLarge, match="262147 bytes, limit 262144"):
        check_record(NewRecord("t", "한", bytes(RECORD_LIMIT_BYTES)), spec)
    with pytest.raises(InvalidRecord, match="1026 bytes"):
        check_record(NewRecord("t", "한" * 342, b""), spec)


def test_dead_letters_may_be_a_little_larger() -> None:
    spec = TopicSpec("t.dlq")
    check_record(NewRecord("t.dlq", "k", bytes(RECORD_LIMIT_BYTES + DLQ_EXTRA_BYTES - 1)), spec)
    with pytest.raises(RecordTooLarge):
        check_record(NewRecord("t.dlq", "k", bytes(RECORD_LIMIT_BYTES + DLQ_EXTRA_BYTES)), spec)


def test_only_compacted_topics_take_tombstones() -> None:
    check_record(NewRecord("t", "k", None), TopicSpec("t", compacted=True))
    with pytest.raises(InvalidRecord, match="not compacted"):
        check_record(NewRecord("t", "k", None), TopicSpec("t"))
