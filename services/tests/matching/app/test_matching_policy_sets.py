"""What a policy set does to those who wait: asked or not, offered when, let in or not, and how long
they cool down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.policy_files import read_policies
from inyeon.matching.adapters.tables import faults
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.app.accept import decline
from inyeon.matching.app.offering import offer_widening
from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.data import COUNTRIES, POLICY_SETS, POOLS
from inyeon.matching.domain import news
from inyeon.matching.domain.faults import FREE, cool_down_s
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.errors import NotAllowed

pytestmark = pytest.mark.unit

POLICIES = read_policies(POLICY_SETS, read_territories(COUNTRIES, POOLS))
WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
STANDARD, GUARDED, STRICT = "TR", "FR", "AF"


@pytest.fixture
def policed(scene: Any) -> Any:
    """The scene where the table's policy sets are in force."""
    clock = scene.clock
    book = SqlBook(scene.store, timedelta(0), clock, lambda country: POLICIES.of(country).faults)
    scene.desk = replace(scene.desk, policies=POLICIES, book=book)
    scene.desk.hall.rebuilt.set()
    return scene


async def waits(
    scene: Any, user: str, country: str, band: AgeBand = AgeBand.ADULT, **wishes: Any
) -> None:
    await scene.beat(user)
    person = Person(user, band, country, Gender.OTHER)
    await seek(scene.desk, person, replace(WISH, **wishes), "s")
    await scene.arrive()


def test_the_countries_of_these_tests_have_these_sets() -> None:
    sets = [POLICIES.territories.of(code).policy_set.name for code in (STANDARD, GUARDED, STRICT)]
    assert sets == ["STANDARD", "GUARDED", "STRICT"]


@pytest.mark.parametrize(
    ("one", "other", "asked"),
    [(STANDARD, GUARDED, False), (STANDARD, STRICT, True), ("", STANDARD, True)],
)
async def test_both_are_asked_where_either_ones_policy_asks(
    policed: Any, one: str, other: str, asked: bool
) -> None:
    await waits(policed, "ana", one)
    await waits(policed, "bob", other)
    await run_wave(policed.desk)
    for user in ("ana", "bob"):
        told = policed.teller.take(user)[-1]
        if asked:
            assert isinstance(told, news.Proposed)
            assert told.answer_within_s == POLICIES.of("").accept_within_s
        else:
            assert isinstance(told, news.Matched)


async def test_the_bound_is_that_of_the_persons_own_policy(policed: Any) -> None:
    nobody = frozenset({"VA"})
    policed.desk = replace(policed.desk, max_waiting=10)
    for user, country in (("ana", STANDARD), ("bob", GUARDED), ("eve", STRICT)):
        await waits(policed, user, country, countries=nobody)
    heard = []
    for seconds in (15.0, 15.0, 15.0, 15.0):
        await policed.clock.advance(seconds)
        for user in ("ana", "bob", "eve"):
            await policed.beat(user)
        await run_wave(policed.desk)
        await offer_widening(policed.desk)
        heard.append(
            {user for user, told in policed.teller.heard if isinstance(told, news.WideningOffer)}
        )
        policed.teller.heard.clear()
    assert heard == [set(), {"eve"}, {"bob"}, {"ana", "eve"}]


async def test_minors_may_look_for_somebody_only_where_the_policy_lets_them(policed: Any) -> None:
    await waits(policed, "kim", STANDARD, AgeBand.MINOR)
    for country in (STRICT, "", "XX"):
        with pytest.raises(NotAllowed) as refused:
            await waits(policed, "lou", country, AgeBand.MINOR)
        assert (refused.value.reason, refused.value.field) == (
            "MINORS_NOT_SERVED",
            "token.age_band",
        )
    assert policed.desk.hall.ticket_of("lou") is None
    assert policed.desk.hall.ticket_of("kim") is not None


async def test_a_strict_set_cools_down_twice_as_long(policed: Any) -> None:
    for _ in range(FREE + 1):
        await waits(policed, "ana", STANDARD)
        await waits(policed, "bob", STRICT)
        await run_wave(policed.desk)
        match = policed.desk.hall.meetings.of_user("ana")
        await decline(policed.desk, "bob", match.match_id)
        await policed.arrive()
    asking = select(faults.c.user_id, faults.c.until_us - faults.c.last_us)
    async with policed.store.reading() as connection:
        rows = [tuple(row) for row in await connection.execute(asking)]
    assert rows == [("bob", 2e6 * cool_down_s(FREE + 1))]
