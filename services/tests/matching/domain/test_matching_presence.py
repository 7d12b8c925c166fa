"""Present, distracted, away: who is not there is proposed to nobody; a return needs no tick."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.gates import PAUSES, Gate, WaitReason, wait_reason
from inyeon.matching.domain.people import Attention
from inyeon.matching.domain.pool import AWAY_AFTER_S, OWN_GATES, Pool
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

TICKET = next(iter(synthetic_waiters(1, seed=1, minors=0.0))).ticket
ANA = TICKET.user_id
Beat = Callable[[float, bool | Attention], bool]


@pytest.fixture
def pool() -> Pool:
    made = Pool()
    made.add(TICKET, 0.0, 0.0)
    return made


@pytest.fixture
def beat(pool: Pool) -> Beat:
    return lambda now, attention: pool.heartbeat(ANA, now, attention, math.inf)


@pytest.mark.parametrize(
    ("attention", "gate", "reason"),
    [
        (Attention.DISTRACTED, Gate.DISTRACTED, WaitReason.DISTRACTED),
        (Attention.AWAY, Gate.AWAY, WaitReason.AWAY),
        (False, Gate.AWAY, WaitReason.AWAY),
    ],
)
def test_ten_seconds_pause_and_the_heartbeat_of_the_return_resumes(
    pool: Pool, beat: Beat, attention: bool | Attention, gate: Gate, reason: WaitReason
) -> None:
    beat(0.0, Attention.PRESENT)
    beat(5.0, attention)
    assert len(pool.snapshot(5.0)) == 0  # at once, whatever the ten seconds
    assert pool.tick(5.0 + AWAY_AFTER_S - 0.1).paused == ()
    assert pool.tick(5.0 + AWAY_AFTER_S).paused == ((TICKET, gate),)
    assert PAUSES[gate] is reason
    assert pool.tick(18.0).paused == ()  # told once
    assert beat(20.0, Attention.PRESENT)
    look = pool.look(ANA, 20.0)
    assert (look.gate, look.paused, look.waited_s) == (Gate.OPEN, False, 15.0)
    assert len(pool.snapshot(20.0)) == 1
    assert not beat(21.0, Attention.PRESENT)  # nothing was paused


def test_going_from_distracted_to_away_is_told_and_counts_from_the_first(
    pool: Pool, beat: Beat
) -> None:
    beat(0.0, Attention.PRESENT)
    beat(1.0, Attention.DISTRACTED)
    beat(8.0, Attention.AWAY)
    assert pool.tick(11.0).paused == ((TICKET, Gate.AWAY),)
    beat(12.0, Attention.DISTRACTED)
    assert pool.tick(12.0).paused == ((TICKET, Gate.DISTRACTED),)
    pool.lose_sight(ANA, 13.0)  # a broken stream says nothing of a person
    assert pool.look(ANA, 13.0).gate is Gate.AWAY


def test_a_return_without_a_pass_stays_paused_for_that(pool: Pool) -> None:
    pool.heartbeat(ANA, 0.0, Attention.AWAY, -math.inf)
    pool.tick(AWAY_AFTER_S)
    assert not pool.heartbeat(ANA, 11.0, Attention.PRESENT, -math.inf)
    assert pool.tick(11.0).paused == ((TICKET, Gate.SAFETY_PASS),)
    assert pool.heartbeat(ANA, 12.0, Attention.PRESENT, 40.0)


def test_nobody_of_that_name_resumes_nothing(pool: Pool) -> None:
    assert not pool.heartbeat("nobody", 0.0, Attention.PRESENT, math.inf)


@given(st.lists(st.sampled_from(Attention), min_size=1, max_size=20))
def test_only_a_present_person_is_ever_looked_at(said: list[Attention]) -> None:
    pool = Pool()
    pool.add(TICKET, 0.0, 0.0)
    for now, attention in enumerate(said):
        pool.heartbeat(ANA, float(now), attention, math.inf)
        pool.tick(float(now))
        assert len(pool.snapshot(float(now))) == (attention is Attention.PRESENT)


def test_every_gate_of_one_person_has_a_reason() -> None:
    told = {wait_reason(gate, others=3, candidates=0) for gate in OWN_GATES}
    assert len(told) == len(OWN_GATES) and WaitReason.NO_ONE_FITS not in told
