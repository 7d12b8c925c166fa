from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_edge.temporal.votes import Votes

pytestmark = pytest.mark.unit


def test_old_votes_fall_out() -> None:
    votes = Votes(1.0)
    assert votes.share() == 0
    for at_s, yes in ((0.0, True), (0.5, True), (1.0, False), (1.6, False)):
        votes.cast(at_s, yes)
    assert len(votes) == 2
    assert votes.share() == 0


def test_a_clock_that_jumps_back_clears_the_past() -> None:
    votes = Votes(1.0)
    votes.cast(100.0, True)
    votes.cast(5.0, False)
    assert (len(votes), votes.share()) == (1, 0.0)
    votes.clear()
    assert len(votes) == 0


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), max_size=60))
def test_any_times_give_a_share_and_stay_bounded(casts: list[tuple[float, bool]]) -> None:
    votes = Votes(1.0, most=16)
    for at_s, yes in casts:
        votes.cast(at_s, yes)
        assert 0 <= votes.share() <= 1
        assert 1 <= len(votes) <= 16
