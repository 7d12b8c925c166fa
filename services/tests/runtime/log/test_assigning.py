"""Sharing partitions out: complete, balanced, and calm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.log.assigning import assign

pytestmark = pytest.mark.unit

topics = st.sampled_from(["a", "b", "c"])
partitions = st.fixed_dictionaries({name: st.integers(1, 9) for name in "abc"})
subscriptions = st.dictionaries(
    st.integers(1, 6), st.frozensets(topics, min_size=1), min_size=1, max_size=5
)


@given(subscriptions, partitions)
def test_every_partition_of_a_wanted_topic_has_exactly_one_holder(
    wanted: dict[int, frozenset[str]], counts: dict[str, int]
) -> None:
    shares = assign(wanted, counts, {})
    given_out = sorted(place for share in shares.values() for place in share)
    needed = {topic for names in wanted.values() for topic in names}
    assert given_out == sorted((t, p) for t in needed for p in range(counts[t]))
    assert all(place[0] in wanted[member] for member, share in shares.items() for place in share)


@given(st.integers(1, 7), partitions)
def test_members_with_the_same_topics_differ_by_at_most_one(
    members: int, counts: dict[str, int]
) -> None:
    shares = assign({m: frozenset("abc") for m in range(members)}, counts, {})
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 6), partitions)
def test_who_joins_takes_only_what_balance_asks_for(members: int, counts: dict[str, int]) -> None:
    everybody = {m: frozenset("abc") for m in range(members)}
    before = assign(everybody, counts, {})
    after = assign({**everybody, 99: frozenset("abc")}, counts, before)
    for member, share in before.items():
        assert after[member] <= share
    total = sum(counts.values())
    assert len(after[99]) == total // (members + 1) or len(after[99]) == -(-total // (members + 1))


@given(st.integers(2, 6), partitions)
def test_who_stays_keeps_everything_when_somebody_leaves(
    members: int, counts: dict[str, int]
) -> None:
    before = assign({m: frozenset("abc") for m in range(members)}, counts, {})
    after = assign({m: frozenset("abc") for m in range(members - 1)}, counts, before)
    assert all(before[m] <= after[m] for m in range(members - 1))
