"""What filters cost: counted against the wave's own gates, estimated by the stated formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from inyeon.matching.domain.arrivals import KEPT, LEAST_SPAN_S, SPAN_S, Arrivals
from inyeon.matching.domain.costs import (
    Crowd,
    FilterCost,
    filter_costs,
    sift,
    similarity_cost,
)
from inyeon.matching.domain.filters import Filter
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_pool, synthetic_waiters

pytestmark = pytest.mark.unit

WAVE_S = 0.5
ROUTES = Routes.parse(["en-es", "fr-pt"])
BASE = next(iter(synthetic_waiters(1, seed=1, minors=0.0))).ticket


def a_ticket(user: str, gender: Gender, country: str, language: str, **wishes: object) -> Ticket:
    wish = Wish((SpokenLanguage(language, 5),), frozenset(), frozenset(), BASE.wish.interests, True)
    wish = replace(wish, **wishes)  # type: ignore[arg-type]
    person = Person(user, AgeBand.ADULT, country, gender)
    return replace(BASE, ticket_id=f"t-{user}", person=person, wish=wish)


def snapshot_of(*tickets: Ticket) -> Snapshot:
    pool = Pool()
    for ticket in tickets:
        pool.add(ticket, 0.0, 0.0)
        pool.heartbeat(ticket.user_id, 0.0, True, math.inf)
    return pool.snapshot(0.0)


def crowd(snapshot: Snapshot, barred: list[int], rivals: int = 1, stands_for: int = 1) -> Crowd:
    shut = np.zeros(len(snapshot), np.bool_)
    shut[barred] = True
    return Crowd(snapshot.rows, np.full(len(snapshot), rivals, np.int64), shut, stands_for)


ANA = a_ticket(
    "ana",
    Gender.FEMALE,
    "US",
    "en",
    genders=frozenset({Gender.FEMALE}),
    countries=frozenset({"US", "CA"}),
    translation_welcome=False,
)
OTHERS = (
    a_ticket("man-us", Gender.MALE, "US", "en"),
    a_ticket("man-ca", Gender.MALE, "CA", "en"),
    a_ticket("woman-fr", Gender.FEMALE, "FR", "en"),
    a_ticket("woman-es-us", Gender.FEMALE, "US", "es"),
    a_ticket("man-fr", Gender.MALE, "FR", "en"),  # two filters away
    a_ticket("wants-men", Gender.MALE, "US", "en", genders=frozenset({Gender.MALE})),
)


def costs(here: Crowd, lately: Crowd, span_s: float = 60.0) -> dict[Filter, FilterCost]:
    found = filter_costs(snapshot_of(ANA).rows[0], here, lately, span_s, ROUTES, WAVE_S)
    return {cost.filter: cost for cost in found}


def nobody() -> Crowd:
    return crowd(snapshot_of(), [])


def test_each_filter_is_counted_by_who_would_fit_without_it_alone() -> None:
    found = costs(crowd(snapshot_of(ANA, *OTHERS), [0]), nobody())
    assert {each: cost.more_people for each, cost in found.items()} == {
        Filter.GENDERS: 2,
        Filter.COUNTRIES: 1,
        Filter.COMMON_LANGUAGE: 1,
    }
    assert all(cost.expected_s is None for cost in found.values())  # nobody fits, nobody came
    assert all(cost.without_s == WAVE_S for cost in found.values())


def test_the_wait_for_somebody_comes_from_arrivals_that_fit() -> None:
    came = crowd(snapshot_of(*OTHERS, a_ticket("fits", Gender.FEMALE, "US", "en")), [])
    found = costs(nobody(), came, span_s=60.0)
    assert found[Filter.GENDERS] == FilterCost(Filter.GENDERS, 0, 60.0, 20.0)
    assert found[Filter.COUNTRIES] == FilterCost(Filter.COUNTRIES, 0, 60.0, 30.0)


def test_rivals_make_the_wait_longer() -> None:
    fits = a_ticket("fits", Gender.FEMALE, "US", "en")
    found = costs(crowd(snapshot_of(ANA, fits, *OTHERS), [0], rivals=12), nobody())
    assert found[Filter.GENDERS] == FilterCost(Filter.GENDERS, 2, 12 * WAVE_S, 4 * WAVE_S)


def test_who_is_blocked_would_not_fit_either() -> None:
    found = costs(crowd(snapshot_of(ANA, *OTHERS), [0, 1, 2]), nobody())
    assert Filter.GENDERS not in found


def test_a_share_of_the_people_stands_for_all() -> None:
    found = costs(crowd(snapshot_of(ANA, *OTHERS), [0], stands_for=3), nobody())
    assert found[Filter.GENDERS].more_people == 6


def test_the_dearest_filter_comes_first_and_what_costs_nothing_is_left_out() -> None:
    people = snapshot_of(ANA, *OTHERS[:2], *OTHERS[3:])
    found = filter_costs(
        snapshot_of(ANA).rows[0], crowd(people, [0], rivals=3), nobody(), 60.0, ROUTES, WAVE_S
    )
    assert [cost.filter for cost in found] == [Filter.GENDERS, Filter.COMMON_LANGUAGE]


@pytest.mark.parametrize("seed", range(3))
def test_the_sieve_agrees_with_the_gates_of_a_wave(seed: int) -> None:
    snapshot = synthetic_pool(150, seed).snapshot(1.0)
    wave = decide(snapshot, WaveRules(Patience(), ROUTES), seed)
    for place in range(len(snapshot)):
        fit = sift(snapshot.rows[place], crowd(snapshot, [place]), ROUTES).fit()
        assert fit.sum() == wave.fitting[place]


@pytest.mark.parametrize("dropped", [Filter.GENDERS, Filter.COUNTRIES, Filter.COMMON_LANGUAGE])
def test_dropping_a_filter_counts_what_a_wave_would_find_without_it(dropped: Filter) -> None:
    waiters = [waiter.ticket for waiter in synthetic_waiters(80, seed=4, minors=0.1)]
    before = snapshot_of(*waiters)
    for place in range(0, 80, 7):
        wish = waiters[place].wish
        wider = {
            Filter.GENDERS: {"genders": frozenset()},
            Filter.COUNTRIES: {"countries": frozenset()},
            Filter.COMMON_LANGUAGE: {"translation_welcome": True},
        }[dropped]
        widened = list(waiters)
        widened[place] = replace(waiters[place], wish=replace(wish, **wider))  # type: ignore[arg-type]
        wave = decide(snapshot_of(*widened), WaveRules(Patience(), ROUTES), 1)
        fit = sift(before.rows[place], crowd(before, [place]), ROUTES).fit(dropped)
        assert fit.sum() == wave.fitting[place]


def test_patience_costs_until_the_closest_is_close_enough() -> None:
    cost = similarity_cost(
        np.array([0.1, -0.3]), 0.3, relaxed_after_s=20.0, start=0.4, wave_s=WAVE_S
    )
    assert cost == FilterCost(Filter.SIMILARITY, 2, pytest.approx(10.0), WAVE_S)  # type: ignore[arg-type]
    assert similarity_cost(np.array([0.1, 0.3]), 0.3, 20.0, 0.4, WAVE_S) is None
    assert similarity_cost(np.array([]), 0.3, 20.0, 0.4, WAVE_S) is None


def test_arrivals_are_the_newest_of_the_last_ten_minutes() -> None:
    arrivals, rows = Arrivals(), snapshot_of(*OTHERS).rows
    assert len(arrivals.recent(0.0)[0]) == 0
    arrivals.add(rows[0], 0.0)
    arrivals.add(rows[1], 2.0)
    assert arrivals.recent(3.0)[1] == LEAST_SPAN_S
    assert arrivals.recent(200.0)[1] == 200.0
    recent, span_s = arrivals.recent(SPAN_S + 1.0)
    assert (len(recent), span_s) == (1, SPAN_S - 1.0)
    for _ in range(KEPT + 5):
        arrivals.add(rows[2], 10.0)
    assert len(arrivals.recent(20.0)[0]) == KEPT


def test_the_pool_remembers_who_has_gone() -> None:
    pool = Pool()
    pool.add(ANA, 0.0, 0.0)
    pool.remove(ANA.ticket_id, ANA.user_id)
    recent, _ = pool.arrivals.recent(1.0)
    assert recent["gender_bit"].tolist() == [1 << Gender.FEMALE]
