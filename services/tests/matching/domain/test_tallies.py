"""What windows showed, counted in little: quantiles to a few per cent, sums that lose nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.switchback import Plan, Seen, facts_by_window
from inyeon.matching.domain.tallies import (
    BUCKETS,
    Tally,
    bucket_of,
    quantile_s,
    ticket_tally,
    window_facts,
)

pytestmark = pytest.mark.unit
PLAN = Plan("e", ("a", "b"), start_s=1_000.0, window_s=600.0, burn_in_s=0.0)


def tally_of(waits: list[float]) -> Tally:
    total = Tally()
    for wait in waits:
        total = total.plus(ticket_tally(wait, matched=wait < 100))
    return total


@given(st.lists(st.floats(0.11, 5_000.0), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_right_to_a_few_per_cent(waits: list[float], share: float) -> None:
    exact = np.quantile(np.array(waits), share, method="inverted_cdf")
    assert quantile_s(tally_of(waits).waits, share) == pytest.approx(exact, rel=0.025)


def test_the_shortest_and_the_longest_waits_have_a_bucket_and_nobody_waits_not() -> None:
    assert [bucket_of(wait) for wait in (-1.0, 0.0, 0.1, float("nan"))] == [0] * 4
    assert bucket_of(1e9) == bucket_of(6_000.0) == BUCKETS - 1
    assert quantile_s({0: 3}, 0.5) == 0.05 and quantile_s({}, 0.99) == 0.0


def test_the_same_facts_as_from_the_tickets_one_by_one() -> None:
    draw = np.random.default_rng(7)
    came = 1_000.0 + draw.uniform(0, 2_400, 400)
    waited, matched = draw.uniform(0.2, 60, 400), (draw.random(400) < 0.7).astype(float)
    reported = matched * (draw.random(400) < 0.1)
    tallies: dict[int, Tally] = {}
    for row in range(400):
        number = int((came[row] - 1_000.0) // 600)
        own = ticket_tally(float(waited[row]), bool(matched[row]))
        own = own.plus(Tally(reported=int(reported[row])))
        tallies[number] = tallies.get(number, Tally()).plus(own)
    exact = facts_by_window(PLAN, Seen(came, waited, matched, reported))
    for one, other in zip(window_facts(PLAN, tallies, 4), exact, strict=True):
        assert (one.number, one.arm, one.tickets) == (other.number, other.arm, other.tickets)
        assert one.match_rate == other.match_rate
        assert one.reports_per_match == pytest.approx(other.reports_per_match)
        assert one.wait_p99_s == pytest.approx(other.wait_p99_s, rel=0.05)
    assert len(window_facts(PLAN, tallies, 2)) == 2
    only_reports = {0: Tally(reported=1), 1: ticket_tally(1.0, matched=False)}
    assert [facts.reports_per_match for facts in window_facts(PLAN, only_reports, 4)] == [0.0]
