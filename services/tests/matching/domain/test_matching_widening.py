"""A person's own plan alone relaxes a filter, exactly at its time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.filters import Filter, WideningStep
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

BASE = next(iter(synthetic_waiters(1, seed=1, minors=0.0))).ticket
RULES = WaveRules(Patience(start=0.0), Routes.parse(["en-es"]))
OPEN = Wish((SpokenLanguage("es", 5),), frozenset(), frozenset(), BASE.wish.interests, True)
PICKY = Wish(
    (SpokenLanguage("en", 5),),
    frozenset({Gender.FEMALE}),
    frozenset({"FR"}),
    BASE.wish.interests,
    False,
)
DROPS_ALL = (
    WideningStep(10.0, Filter.COMMON_LANGUAGE),
    WideningStep(20.0, Filter.COUNTRIES),
    WideningStep(30.0, Filter.GENDERS),
)


def a_ticket(user: str, wish: Wish, country: str = "ES") -> Ticket:
    person = Person(user, AgeBand.ADULT, country, Gender.MALE)
    return replace(BASE, ticket_id=f"t-{user}", person=person, wish=wish)


def pool_of(*tickets: Ticket) -> Pool:
    pool = Pool()
    for ticket in tickets:
        pool.add(ticket, 0.0, 0.0)
        pool.heartbeat(ticket.user_id, 0.0, True, math.inf)
    return pool


def meet(pool: Pool, now: float) -> bool:
    return bool(decide(pool.snapshot(now), RULES, seed=1).pairs)


def test_the_last_filter_falls_exactly_at_its_time() -> None:
    pool = pool_of(a_ticket("ana", replace(PICKY, widening=DROPS_ALL)), a_ticket("bob", OPEN))
    assert not any(meet(pool, now) for now in (0.0, 10.0, 20.0, 29.999))
    assert meet(pool, 30.0)


@pytest.mark.parametrize("missing", range(3))
def test_what_the_plan_does_not_name_never_falls(missing: int) -> None:
    plan = tuple(step for number, step in enumerate(DROPS_ALL) if number != missing)
    pool = pool_of(a_ticket("ana", replace(PICKY, widening=plan)), a_ticket("bob", OPEN))
    assert not meet(pool, 1e6)


def test_a_plan_opens_ones_own_side_only() -> None:
    wants_women = replace(OPEN, genders=frozenset({Gender.FEMALE}))
    plan = replace(PICKY, widening=DROPS_ALL)
    assert not meet(pool_of(a_ticket("ana", plan), a_ticket("bob", wants_women)), 1e6)


def test_a_pause_holds_the_plan_up() -> None:
    plan = replace(OPEN, countries=frozenset({"FR"}))
    plan = replace(plan, widening=(WideningStep(20.0, Filter.COUNTRIES),))
    pool = pool_of(a_ticket("ana", plan), a_ticket("bob", OPEN))
    pool.heartbeat("ana", 5.0, False, math.inf)
    pool.tick(15.0)
    pool.heartbeat("ana", 40.0, True, math.inf)  # 15 s waited
    assert not meet(pool, 44.9)
    assert meet(pool, 45.0)


def test_waiting_credit_counts_towards_the_plan() -> None:
    plan = replace(OPEN, countries=frozenset({"FR"}))
    plan = replace(plan, widening=(WideningStep(20.0, Filter.COUNTRIES),))
    pool = pool_of(a_ticket("bob", OPEN))
    pool.add(a_ticket("ana", plan), 0.0, started=-25.0)
    pool.heartbeat("ana", 0.0, True, math.inf)
    assert meet(pool, 0.0)


steps = st.builds(
    WideningStep,
    st.integers(1, 100).map(float),
    st.sampled_from([Filter.GENDERS, Filter.COUNTRIES, Filter.COMMON_LANGUAGE]),
)
plans = st.lists(steps, max_size=3, unique_by=lambda step: step.drops).map(tuple)


@given(plans, st.lists(st.floats(0, 120), min_size=1, max_size=8))
def test_the_row_says_what_the_wish_says_after_that_wait(
    plan: tuple[WideningStep, ...], times: list[float]
) -> None:
    wish = replace(PICKY, widening=plan)
    pool = pool_of(a_ticket("ana", wish))
    for now in sorted(times):
        (row,) = pool.snapshot(now).rows
        (expected,) = (
            pool_of(a_ticket("ana", replace(wish.after(now), widening=()))).snapshot(0).rows
        )
        for name in ("wanted_genders", "limited", "welcome"):
            assert row[name] == expected[name]
        assert (row["wanted_countries"] == expected["wanted_countries"]).all()
    assert pool.of_user("ana") == a_ticket("ana", wish)  # the ticket itself never changes


@given(plans, st.floats(0, 120))
def test_a_wish_never_grows_narrower(plan: tuple[WideningStep, ...], waited_s: float) -> None:
    wish = replace(PICKY, widening=plan)
    after = wish.after(waited_s)
    for dropped, before, now in (
        (Filter.GENDERS, wish.genders, after.genders),
        (Filter.COUNTRIES, wish.countries, after.countries),
    ):
        due = any(step.drops is dropped and step.after_s <= waited_s for step in plan)
        assert now == (frozenset() if due else before)
    assert after.translation_welcome == any(
        step.drops is Filter.COMMON_LANGUAGE and step.after_s <= waited_s for step in plan
    )


@pytest.mark.parametrize(
    ("plan", "field", "reason"),
    [
        ([WideningStep(0.5, Filter.GENDERS)], "wish.widening[0].after_s", "WIDENING_TIME"),
        ([WideningStep(3601.0, Filter.GENDERS)], "wish.widening[0].after_s", "WIDENING_TIME"),
        ([WideningStep(math.nan, Filter.GENDERS)], "wish.widening[0].after_s", "WIDENING_TIME"),
        ([WideningStep(5.0, Filter.SIMILARITY)], "wish.widening[0].drops", "WIDENING_FILTER"),
        ([WideningStep(5.0, Filter.GENDERS)] * 2, "wish.widening", "WIDENING_REPEATED"),
        ([WideningStep(5.0, Filter.GENDERS)] * 4, "wish.widening", "WIDENING_COUNT"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    plan: list[WideningStep], field: str, reason: str
) -> None:
    with pytest.raises(WishRefused) as refused:
        replace(PICKY, widening=tuple(plan))
    assert (refused.value.field, refused.value.reason) == (field, reason)
