"""Dead letters and the limits on them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inyeon.runtime.errors import ConsumerStopped
from inyeon.runtime.log.poison import PoisonCount, PoisonLimit, PoisonRecord, dead_letter
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.records import RECORD_LIMIT_BYTES, check_record
from inyeon.runtime.log.topics import dlq_spec

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _record(value: bytes | None = b"v", headers: dict[str, str] | None = None) -> Record:
    return Record("t", 3, 17, "key", value, headers or {"type": "x"}, NOW)


def test_a_dead_letter_says_where_it_comes_from_and_why() -> None:
    letter = dead_letter(_record(), "matching", PoisonRecord("TYPE_UNKNOWN", "what is x"))
    assert letter == NewRecord(
        "t.dlq",
        "key",
        b"v",
        {
            "type": "x",
            "dlq_reason": "TYPE_UNKNOWN",
            "dlq_detail": "what is x",
            "dlq_group": "matching",
            "dlq_topic": "t",
            "dlq_partition": "3",
            "dlq_offset": "17",
            "dlq_origin": "3@17",
        },
    )


def test_a_tombstone_is_marked_because_dead_letters_have_none() -> None:
    letter = dead_letter(_record(None), "g", PoisonRecord("X"))
    assert (letter.value, letter.headers["dlq_tombstone"]) == (b"", "1")


def test_a_full_record_with_a_long_detail_still_fits() -> None:
    record = _record(bytes(RECORD_LIMIT_BYTES - 3), {})
    for detail in ("x" * 100_000, "🙂" * 100_000, "\ud800" * 10):
        check_record(dead_letter(record, "g" * 100, PoisonRecord("X", detail)), dlq_spec("t"))


def test_stops_after_so_many_in_a_row() -> None:
    count = PoisonCount(PoisonLimit(in_a_row=1_000))
    for _ in range(50_000):
        count.good()  # so that the share stays below its limit
    limit = PoisonLimit(share=1.0, in_a_row=5)
    count = PoisonCount(limit)
    for _ in range(4):
        count.poison(_record())
    count.good()
    for _ in range(4):
        count.poison(_record())
    with pytest.raises(ConsumerStopped, match="5 in a row, the last one at t/3@17"):
        count.poison(_record())


def test_stops_past_its_share_once_there_is_enough_to_judge() -> None:
    count = PoisonCount(PoisonLimit(share=0.01, judged_from=1_000))
    for i in range(999):
        count.good() if i % 90 else count.poison(_record())
    with pytest.raises(ConsumerStopped, match="13 poison records among the last 1000"):
        count.poison(_record())


def test_one_in_a_hundred_goes_on_for_ever() -> None:
    count = PoisonCount(PoisonLimit())
    for i in range(30_000):
        count.poison(_record()) if i % 100 == 99 else count.good()


def test_what_is_long_ago_does_not_count() -> None:
    count = PoisonCount(PoisonLimit(share=0.01, window=1_000, judged_from=500))
    for _ in range(3):
        for _ in range(4):
            count.poison(_record())
        for _ in range(1_000):
            count.good()
