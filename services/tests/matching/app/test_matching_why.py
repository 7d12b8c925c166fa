"""Why somebody waits, told with what their own filters cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.app.why import AFTER_S, COSTED, ask_why
from inyeon.matching.domain import news
from inyeon.matching.domain.filters import Filter
from inyeon.matching.domain.gates import WaitReason
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)


async def waits(scene: Any, user: str, **wishes: Any) -> None:
    await scene.beat(user)
    person = Person(user, AgeBand.ADULT, "US", Gender.OTHER)
    await seek(scene.desk, person, replace(WISH, **wishes), "s")
    await scene.arrive()


def queued(scene: Any, user: str) -> news.Queued:
    told = scene.teller.take(user)[-1]
    assert isinstance(told, news.Queued)
    return told


async def test_who_waits_long_is_told_what_a_filter_costs(scene: Any) -> None:
    await waits(scene, "ana", countries=frozenset({"FR"}))
    await waits(scene, "bob", countries=frozenset({"DE"}))
    await run_wave(scene.desk)
    assert queued(scene, "ana").costs == ()
    await scene.clock.advance(AFTER_S)
    await waits(scene, "eve")  # fits neither, but one filter away from ana
    for user in ("ana", "bob"):
        await scene.beat(user)
    await run_wave(scene.desk)
    told = queued(scene, "ana")
    (cost,) = told.costs
    assert told.reason is WaitReason.NO_ONE_FITS
    assert (cost.filter, cost.more_people, cost.without_s) == (Filter.COUNTRIES, 1, 0.1)
    assert cost.expected_s is None


async def test_who_asks_is_told_after_the_next_wave(scene: Any) -> None:
    await waits(scene, "ana", countries=frozenset({"FR"}))
    await waits(scene, "eve", countries=frozenset())
    await run_wave(scene.desk)
    await scene.clock.advance(1.0)
    scene.teller.heard.clear()
    await ask_why(scene.desk, "ana")
    assert scene.teller.heard == []
    await run_wave(scene.desk)
    assert [cost.filter for cost in queued(scene, "ana").costs] == [Filter.COUNTRIES]
    await ask_why(scene.desk, "ana")
    await run_wave(scene.desk)  # costs are worked out once a second
    assert scene.teller.take("ana") == [] and scene.desk.hall.asking == {"ana"}
    await scene.clock.advance(1.0)
    await run_wave(scene.desk)
    assert queued(scene, "ana").costs
    assert scene.teller.take("eve") == []
    assert scene.desk.hall.asking == set()


async def test_who_is_paused_is_told_at_once_and_a_stranger_nothing(scene: Any) -> None:
    await waits(scene, "ana")
    await scene.beat("ana", present=False)
    await scene.clock.advance(10.0)
    await run_wave(scene.desk)
    scene.teller.heard.clear()
    await ask_why(scene.desk, "ana")
    assert scene.teller.take("ana") == [news.Paused("id-0", WaitReason.AWAY)]
    await ask_why(scene.desk, "nobody")
    assert scene.teller.heard == []


async def test_too_many_who_wait_take_turns(scene: Any) -> None:
    desk = replace(scene.desk, max_waiting=100)
    scene = replace(scene, desk=desk)
    users = [f"user-{number}" for number in range(COSTED + 3)]
    for user in users:
        await waits(scene, user, countries=frozenset({"FR"}))
    for _ in range(2):
        await scene.clock.advance(AFTER_S)
        for user in users:
            await scene.beat(user)
        await run_wave(desk)
        await run_wave(desk)  # within the same second: nothing more
        assert len(desk.hall.costs) in (COSTED, len(users))
    assert desk.hall.costs.keys() == set(users)


async def test_who_fits_but_is_not_close_enough_yet_is_told_so(scene: Any) -> None:
    far = [w.ticket.wish.interests for w in synthetic_waiters(40, seed=9)]
    alike = [float(one.direction @ WISH.interests.direction) for one in far]
    rules = replace(scene.desk.rules, patience=Patience(relaxed_after_s=20.0))
    scene.desk = replace(scene.desk, rules=rules)
    await waits(scene, "ana")
    await waits(scene, "bob", interests=far[alike.index(min(alike))])
    await scene.clock.advance(AFTER_S)
    for user in ("ana", "bob"):
        await scene.beat(user)
    await run_wave(scene.desk)
    (cost,) = queued(scene, "ana").costs
    assert (cost.filter, cost.more_people) == (Filter.SIMILARITY, 1)
    assert cost.expected_s == pytest.approx(15.0)


async def test_the_costs_of_who_left_are_forgotten(scene: Any) -> None:
    await waits(scene, "ana", countries=frozenset({"FR"}))
    await scene.clock.advance(AFTER_S)
    await scene.beat("ana")
    await run_wave(scene.desk)
    assert "ana" in scene.desk.hall.costs
    scene.desk.hall.drop(scene.desk.hall.ticket_of("ana"))
    assert scene.desk.hall.costs == {}
