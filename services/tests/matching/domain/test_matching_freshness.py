"""Freshness: the oldest mark decides, and only where marks are to be expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.app.hall import VERDICT_PARTITIONS
from inyeon.matching.domain.freshness import Freshness
from inyeon.runtime.log.topics import TOPICS, VERDICTS

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMIT = timedelta(seconds=5)


def test_the_hall_waits_for_every_partition_of_the_topic() -> None:
    (spec,) = [spec for spec in TOPICS if spec.name == VERDICTS]
    assert spec.partitions == VERDICT_PARTITIONS


def test_without_any_mark_ever_passes_alone_decide() -> None:
    assert not Freshness(2).stale(NOW, LIMIT)


def test_expected_marks_that_are_missing_make_it_stale() -> None:
    known = Freshness(2, expected=True)
    assert known.stale(NOW, LIMIT)
    known.mark(0, NOW)
    assert known.stale(NOW, LIMIT) and known.age(NOW) is None
    known.mark(1, NOW)
    assert not known.stale(NOW, LIMIT)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=30))
def test_the_age_is_that_of_the_oldest_newest_mark(marks: list[tuple[int, int]]) -> None:
    known = Freshness(3)
    for partition, ago_s in marks:
        known.mark(partition, NOW - timedelta(seconds=ago_s))
    newest = {p: min(ago for q, ago in marks if q == p) for p, _ in marks}
    age = known.age(NOW)
    if len(newest) < 3:
        assert age is None
    else:
        assert age == timedelta(seconds=max(newest.values()))
        assert known.stale(NOW, LIMIT) == (max(newest.values()) > 5)


@pytest.mark.parametrize("partition", [-1, 2])
def test_a_mark_of_no_partition_is_refused(partition: int) -> None:
    with pytest.raises(ValueError, match="partition"):
        Freshness(2).mark(partition, NOW)
