"""When somebody who waits too long is offered to widen their wish, and what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.costs import FilterCost
from inyeon.matching.domain.filters import PLANNABLE, Filter, WideningStep
from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.news import WideningOffer
from inyeon.matching.domain.people import Gender
from inyeon.matching.domain.pool import Look
from inyeon.matching.domain.starving import FRESH_S, LATE_S, is_due, offer, times
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

BASE = next(iter(synthetic_waiters(1, seed=1))).ticket
PICKY = replace(
    BASE.wish,
    genders=frozenset({Gender.FEMALE}),
    countries=frozenset({"FR"}),
    translation_welcome=False,
)
COUNTRIES = FilterCost(Filter.COUNTRIES, 3, None, 1.0)
ALIKE = FilterCost(Filter.SIMILARITY, 3, 9.0, 1.0)


def looked_at(waited_s: float, **wish: object) -> Look:
    ticket = replace(BASE, wish=replace(PICKY, **wish))  # type: ignore[arg-type]
    return Look(ticket, Gate.OPEN, False, waited_s)


@given(st.floats(0, 1e5), st.floats(1, 3600))
def test_an_offer_is_due_once_for_each_time_the_bound_was_waited(
    waited_s: float, bound_s: float
) -> None:
    made = WideningOffer("t", waited_s, (), estimated=True)
    assert is_due(waited_s, None, bound_s) == (waited_s >= bound_s)
    assert not is_due(waited_s, made, bound_s)
    assert is_due(waited_s + 1.001 * bound_s, made, bound_s)


def test_without_a_bound_nothing_is_ever_due() -> None:
    assert times(1e9, 0.0) == 0 and not is_due(1e9, None, 0.0)


def test_fresh_figures_are_offered_but_for_what_no_person_can_drop() -> None:
    made = offer(looked_at(60.0), (100.0, (ALIKE, COUNTRIES)), 100.0 + FRESH_S, 60.0)
    assert made == WideningOffer(BASE.ticket_id, 60.0, (COUNTRIES,), estimated=True)


def test_where_no_filter_stands_in_the_way_the_offer_says_so() -> None:
    made = offer(looked_at(61.0), (100.0, ()), 100.0, 60.0)
    assert made is not None and made.estimated and made.filters == ()


def test_an_offer_waits_for_its_figures_but_not_long() -> None:
    for old in (None, (0.0, (COUNTRIES,))):
        assert offer(looked_at(60.0 + LATE_S - 0.1), old, 100.0, 60.0) is None
        made = offer(looked_at(60.0 + LATE_S), old, 100.0, 60.0)
        assert made is not None and not made.estimated
        assert [one.filter for one in made.filters] == sorted(PLANNABLE)
        assert {(one.more_people, one.expected_s) for one in made.filters} == {(0, None)}


def test_a_short_bound_is_met_before_the_next_one() -> None:
    made = offer(looked_at(3.0), None, 100.0, 2.0)
    assert made is not None and not made.estimated


def test_what_the_own_plan_has_dropped_is_not_offered_again() -> None:
    plan = (WideningStep(10.0, Filter.GENDERS), WideningStep(90.0, Filter.COUNTRIES))
    made = offer(looked_at(66.0, widening=plan), None, 100.0, 60.0)
    assert made is not None
    assert [one.filter for one in made.filters] == [Filter.COUNTRIES, Filter.COMMON_LANGUAGE]


@given(st.frozensets(st.sampled_from(PLANNABLE)))
def test_a_wish_without_filters_has_the_others(dropped: frozenset[Filter]) -> None:
    wider = PICKY.without(dropped)
    assert PICKY.filters == frozenset(PLANNABLE)
    assert wider.filters == frozenset(PLANNABLE) - dropped
    assert wider.interests is PICKY.interests and wider.languages == PICKY.languages
    assert wider.without(dropped) is wider
