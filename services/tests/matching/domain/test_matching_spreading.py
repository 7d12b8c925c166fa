"""Shares of pools: fair, and at rest once they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.spreading import PATIENCE_S, fair_share, patience_s, to_hand_over

pytestmark = pytest.mark.unit

POOLS = [f"pool-{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("pools", "replicas", "share"), [(1, 1, 1), (1, 5, 1), (12, 3, 4), (12, 5, 3), (3, 0, 3)]
)
def test_a_share_is_the_average_rounded_up(pools: int, replicas: int, share: int) -> None:
    assert fair_share(pools, replicas) == share


def test_who_has_less_takes_at_once_and_who_has_enough_lets_others_go_first() -> None:
    assert patience_s(2, 3) == 0.0
    assert patience_s(3, 3) == PATIENCE_S > 0


@given(
    st.lists(st.text("abc", min_size=1), min_size=1, max_size=6, unique=True),
    st.data(),
)
def test_from_any_spread_pools_come_to_rest_at_fair_shares(
    names: list[str], data: st.DataObject
) -> None:
    owner = {pool: data.draw(st.sampled_from(names)) for pool in POOLS}
    share = fair_share(len(POOLS), len(names))
    for _ in range(len(POOLS) + 1):
        moves = {
            name: pool
            for name in names
            if (pool := to_hand_over([p for p, n in owner.items() if n == name], share, name))
        }
        if not moves:
            break
        for pool in moves.values():
            takers = [n for n in names if list(owner.values()).count(n) < share]
            assert takers, "somebody has room"
            owner[pool] = data.draw(st.sampled_from(takers))
    assert all(list(owner.values()).count(name) <= share for name in names)


def test_replicas_differ_in_what_they_give_up_first() -> None:
    given_up = {to_hand_over(POOLS, 1, f"replica-{number}") for number in range(20)}
    assert len(given_up) > 1
