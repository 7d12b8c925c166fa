"""Wishes that cannot be met, clocks that are wrong, thousands of blocks, crowds of the same."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from inyeon.matching.api.limits import HEARTBEATS, QUESTIONS, VERBS, VerbLimits
from inyeon.matching.app.admit import RENEWED_EVERY, admit
from inyeon.matching.app.apply import apply_mark
from inyeon.matching.app.renew import keep_tickets
from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.filters import Filter, WideningStep
from inyeon.matching.domain.gates import WaitReason
from inyeon.matching.domain.interests import Encoding, Space, read_interests
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.pool import MAX_SPACES, Bar, Pool
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import InvalidRequest, Overloaded
from inyeon.runtime.ratelimit import RateLimiter

pytestmark = pytest.mark.unit

BASE = next(iter(synthetic_waiters(1, seed=1, minors=0.0))).ticket
WISH = replace(BASE.wish, genders=frozenset(), countries=frozenset())
SKEW = timedelta(minutes=5)


def a_person(user: str) -> Person:
    return Person(user, AgeBand.ADULT, "US", Gender.OTHER)


async def test_a_country_that_does_not_exist_is_refused_at_once(scene: Any) -> None:
    desk = replace(scene.desk, countries=frozenset({"US", "FR"}))
    nowhere = replace(WISH, countries=frozenset({"FR", "ZZ", "QQ"}))
    with pytest.raises(InvalidRequest, match="QQ, ZZ") as refused:
        await seek(desk, a_person("ana"), nowhere, "s")
    assert (refused.value.field, refused.value.reason) == ("wish.countries", "COUNTRY_UNKNOWN")
    assert desk.hall.ticket_of("ana") is None


async def test_somebody_who_can_meet_nobody_is_told_so_with_the_first_word(scene: Any) -> None:
    await scene.beat("ana")
    unknown = Person("ana", AgeBand.UNKNOWN, "US", Gender.OTHER)
    await seek(scene.desk, unknown, WISH, "s")
    await scene.arrive()
    await run_wave(scene.desk)
    (told,) = scene.teller.take("ana")
    assert told.reason is WaitReason.AGE_UNKNOWN


def in_space(number: int) -> Any:
    space = Space(f"model-{number}", "1", 2, Encoding.INT8, 0.1)
    return replace(WISH, interests=read_interests(space, b"\x01\x02"))


async def test_a_flood_of_embedding_spaces_is_refused_and_known_ones_go_on(scene: Any) -> None:
    desk = replace(scene.desk, max_waiting=1_000)
    scene = replace(scene, desk=desk)
    for number in range(MAX_SPACES):
        await seek(desk, a_person(f"user-{number}"), in_space(number), "s")
        await scene.arrive()
    with pytest.raises(Overloaded) as refused:
        await seek(desk, a_person("eve"), in_space(MAX_SPACES), "s")
    assert (refused.value.reason, refused.value.retry_after_s) == ("TOO_MANY_SPACES", 30.0)
    await seek(desk, a_person("ana"), in_space(0), "s")
    assert desk.hall.ticket_of("ana") is not None


def pool_of(tickets: Any) -> Pool:
    pool = Pool()
    for ticket in tickets:
        pool.add(ticket, 0.0, 0.0)
        pool.heartbeat(ticket.user_id, 0.0, True, math.inf)
    return pool


def test_five_hundred_identical_tickets_all_meet() -> None:
    same = [
        replace(BASE, ticket_id=f"t-{n}", person=a_person(f"u-{n}"), wish=WISH) for n in range(500)
    ]
    wave = decide(pool_of(same).snapshot(0.0), WaveRules(), seed=1)
    assert len(wave.pairs) == 250
    assert all(np.isfinite(pair.score) for pair in wave.pairs)


@pytest.mark.parametrize("value", [65504.0, 6e-8, -65504.0])
def test_vectors_at_the_ends_of_float16_still_make_finite_scores(value: float) -> None:
    space = Space("m", "1", 64, Encoding.FLOAT16, 0.0)
    wish = replace(WISH, interests=read_interests(space, np.full(64, value, "<f2").tobytes()))
    same = [replace(BASE, ticket_id=f"t-{n}", person=a_person(f"u-{n}"), wish=wish) for n in (1, 2)]
    (pair,) = decide(pool_of(same).snapshot(0.0), WaveRules(), seed=1).pairs
    assert np.isfinite(pair.score)


def test_thousands_of_blocks_hold_and_leave_others_alone() -> None:
    ana = replace(BASE, ticket_id="t", person=a_person("ana"), wish=WISH)
    others = [
        replace(BASE, ticket_id=f"t-{n}", person=a_person(f"u-{n}"), wish=WISH) for n in range(40)
    ]
    pool = pool_of(others)
    bars = [Bar(f"u-{number}", math.inf) for number in range(10_000) if number != 7]
    pool.add(ana, 0.0, 0.0, bars=bars)
    pool.heartbeat("ana", 0.0, True, math.inf)
    wave = decide(pool.snapshot(0.0), WaveRules(Patience(start=0.0)), seed=3)
    met = [
        {wave.snapshot.tickets[place].user_id for place in (pair.one, pair.other)}
        for pair in wave.pairs
    ]
    assert len(met) == 20
    assert all(pair == {"ana", "u-7"} for pair in met if "ana" in pair)


@pytest.mark.parametrize("ahead", [SKEW, -SKEW])
async def test_a_ticket_of_a_replica_with_a_wrong_clock_widens_nothing_early(
    scene: Any, ahead: timedelta
) -> None:
    plan = replace(WISH, countries=frozenset({"FR"}))
    plan = replace(plan, widening=(WideningStep(120.0, Filter.COUNTRIES),))
    made = scene.clock.now() - ahead
    theirs = replace(BASE, person=a_person("ana"), wish=plan, created_at=made, waited_s=10.0)
    await admit(scene.desk, [theirs])
    now = scene.clock.monotonic()
    waited_s = scene.desk.hall.pool.look("ana", now).waited_s
    assert 10.0 <= waited_s <= 10.0 + RENEWED_EVERY.total_seconds()
    await scene.beat("ana")
    (row,) = scene.desk.hall.pool.snapshot(now).rows
    assert row["limited"]


async def test_the_same_ticket_with_right_clocks_has_waited_exactly(scene: Any) -> None:
    await scene.person("ana")
    await scene.clock.advance(40.0)
    await scene.beat("ana")
    await keep_tickets(scene.desk)
    await scene.clock.advance(20.0)
    kept = replace(scene.desk.hall.ticket_of("ana"), waited_s=40.0)
    there = scene.another()
    await admit(there, [kept])
    assert there.hall.pool.look("ana", scene.clock.monotonic()).waited_s == pytest.approx(60.0)


async def test_marks_of_a_clock_ahead_do_not_hide_that_verdicts_stopped(scene: Any) -> None:
    await scene.person("ana")
    await scene.person("bob")
    for partition in range(12):
        await apply_mark(scene.desk, partition, scene.clock.now() + SKEW)
    await scene.clock.advance(6.0)
    for user in ("ana", "bob"):
        await scene.beat(user)
    scene.teller.heard.clear()
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is None
    assert scene.teller.take("ana")[-1].reason is WaitReason.SERVICE_PAUSED


async def test_a_pass_of_a_clock_behind_counts_as_none_and_others_go_on(scene: Any) -> None:
    await scene.person("ana")
    await scene.person("bob")
    await scene.person("cid")
    await scene.clock.advance(25.0)
    await scene.beat("ana")
    await scene.beat("bob")
    late = scene.signed("cid", ahead_s=-SKEW.total_seconds())
    await scene.beat("cid", signed=late)
    await scene.clock.advance(6.0)
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is not None
    assert scene.desk.hall.meetings.of_user("cid") is None


async def test_a_flood_of_verbs_is_refused_with_the_time_to_wait_for_that_user_alone() -> None:
    clock = ManualClock()
    limits = VerbLimits(RateLimiter(clock))
    for _ in range(int(VERBS.burst)):
        limits.take("eve", "wish")
    with pytest.raises(Overloaded) as refused:
        limits.take("eve", "cancel")  # all verbs are one bucket
    assert refused.value.retry_after_s == pytest.approx(1 / VERBS.per_s)
    limits.take("eve", "heartbeat")  # her ticket lives
    limits.take("ana", "wish")
    await clock.advance(1 / VERBS.per_s)
    limits.take("eve", "wish")


@pytest.mark.parametrize(("verb", "rate"), [("heartbeat", HEARTBEATS), ("why_waiting", QUESTIONS)])
def test_heartbeats_and_questions_have_buckets_of_their_own(verb: str, rate: Any) -> None:
    limits = VerbLimits(RateLimiter(ManualClock()))
    for _ in range(int(rate.burst)):
        limits.take("eve", verb)
    with pytest.raises(Overloaded):
        limits.take("eve", verb)
    limits.take("eve", "wish")
