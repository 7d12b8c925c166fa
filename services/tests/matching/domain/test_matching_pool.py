"""The waiting pool: waiting time, pauses, signs of life, and many tickets."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from inyeon.matching.domain.gates import Gate, WaitReason, wait_reason
from inyeon.matching.domain.interests import Encoding, Space, read_interests
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.pool import Bar, Pool, Standing
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.vectors import VectorShelves
from inyeon.matching.workload import SPACE, synthetic_pool, synthetic_waiters

pytestmark = pytest.mark.unit

TICKETS = [waiter.ticket for waiter in synthetic_waiters(200, seed=4, minors=0.0)]
ANA, BOB = TICKETS[0], TICKETS[1]


@pytest.fixture
def pool() -> Pool:
    """Ana waits from 0 and is ready."""
    made = Pool()
    assert made.add(ANA, now=0.0, started=0.0)
    made.heartbeat(ANA.user_id, 0.0, present=True, pass_until=30.0)
    return made


def test_one_ticket_a_user(pool: Pool) -> None:
    again = replace(ANA, ticket_id="another")
    assert not pool.add(again, now=1.0, started=1.0)
    assert pool.of_user(ANA.user_id) is ANA
    assert len(pool) == 1 and list(pool) == [ANA]


def test_only_the_ticket_itself_is_removed_and_once(pool: Pool) -> None:
    assert not pool.remove("another", ANA.user_id)
    assert not pool.remove(ANA.ticket_id, "nobody")
    assert pool.remove(ANA.ticket_id, ANA.user_id)
    assert not pool.remove(ANA.ticket_id, ANA.user_id)
    assert pool.of_user(ANA.user_id) is None
    assert pool.longest_wait_s(9.0) == 0.0


def test_who_was_never_seen_is_away_at_once() -> None:
    pool = Pool()
    pool.add(ANA, now=0.0, started=0.0)
    assert pool.tick(0.0).paused == ((ANA, Gate.AWAY),)


def test_a_glance_aside_costs_nothing_but_nobody_is_proposed(pool: Pool) -> None:
    pool.heartbeat(ANA.user_id, 1.0, present=False, pass_until=30.0)
    pool.heartbeat(ANA.user_id, 2.0, present=False, pass_until=30.0)
    assert pool.tick(10.9).paused == ()
    assert len(pool.snapshot(10.9)) == 0
    assert pool.tick(11.0).paused == ((ANA, Gate.AWAY),)
    assert pool.tick(12.0).paused == ()
    assert pool.paused_count() == 1
    assert pool.heartbeat(ANA.user_id, 16.0, present=True, pass_until=50.0)
    assert pool.paused_count() == 0  # no tick in between
    assert pool.look(ANA.user_id, 20.0).waited_s == pytest.approx(15.0)  # 20 less 11 to 16
    assert pool.paused_s(ANA.user_id, 20.0) == pytest.approx(5.0)
    assert len(pool.snapshot(20.0)) == 1


def test_waiting_stands_still_while_paused_and_credit_counts() -> None:
    pool = Pool()
    pool.add(replace(ANA, paused_s=2.0), now=0.0, started=-12.0)
    pool.tick(0.0)
    assert pool.look(ANA.user_id, 30.0).waited_s == pytest.approx(10.0)
    assert pool.longest_wait_s(30.0) == pytest.approx(10.0)


def test_the_reason_of_a_pause_may_change(pool: Pool) -> None:
    pool.judge(ANA.user_id, Verdict.UNSURE)
    assert pool.tick(1.0).paused == ((ANA, Gate.NOT_CLEAR),)
    pool.sanction(ANA.user_id, until=5.0)
    assert pool.tick(2.0).paused == ((ANA, Gate.SANCTION),)
    assert pool.tick(6.0).paused == ((ANA, Gate.NOT_CLEAR),)
    pool.judge(ANA.user_id, Verdict.CLEAR)
    assert pool.tick(7.0).resumed == (ANA,)
    assert pool.look(ANA.user_id, 8.0).waited_s == pytest.approx(2.0)


def test_a_pass_ends_by_itself(pool: Pool) -> None:
    assert pool.tick(29.9).paused == ()
    assert pool.tick(30.0).paused == ((ANA, Gate.SAFETY_PASS),)


def test_silence_is_reported_until_somebody_acts(pool: Pool) -> None:
    assert pool.tick(29.9).silent == ()
    assert pool.tick(30.0).silent == (ANA,)
    assert pool.tick(31.0).silent == (ANA,)


def test_a_broken_stream_hides_and_keeps_the_first_moment(pool: Pool) -> None:
    pool.lose_sight(ANA.user_id, 1.0)
    pool.lose_sight(ANA.user_id, 5.0)
    assert pool.look(ANA.user_id, 5.0).gate is Gate.AWAY
    assert pool.tick(11.0).paused == ((ANA, Gate.AWAY),)


def test_strangers_change_nothing(pool: Pool) -> None:
    pool.heartbeat("nobody", 1.0, present=True, pass_until=9.0)
    pool.lose_sight("nobody", 1.0)
    pool.judge("nobody", Verdict.PROTECT)
    pool.sanction("nobody", 9.0)
    pool.bar("nobody", "none", 9.0)
    with pytest.raises(KeyError):
        pool.look("nobody", 1.0)
    assert pool.looks(1.0)[0].gate is Gate.OPEN


def test_a_bar_holds_until_its_time_and_is_never_shortened(pool: Pool) -> None:
    pool.add(BOB, 0.0, 0.0, Standing(), [Bar(ANA.user_id, 5.0)])
    pool.heartbeat(BOB.user_id, 0.0, present=True, pass_until=30.0)
    assert pool.snapshot(4.9).barred.tolist() == [[0, 1]]
    assert pool.snapshot(5.0).barred.tolist() == []
    pool.bar(BOB.user_id, ANA.user_id, 20.0)
    pool.bar(ANA.user_id, BOB.user_id, 1.0)
    assert {tuple(pair) for pair in pool.snapshot(19.0).barred.tolist()} == {(0, 1)}
    assert pool.snapshot(20.0).barred.tolist() == []


def test_the_snapshot_is_in_order_of_arrival_after_rows_were_used_again() -> None:
    pool = Pool()
    for ticket in TICKETS[:150]:  # more than the first rows
        pool.add(ticket, 0.0, 0.0)
    for ticket in TICKETS[:150:3]:
        pool.remove(ticket.ticket_id, ticket.user_id)
    for ticket in TICKETS[150:]:
        pool.add(ticket, 0.0, 0.0)
    waiting = [t for n, t in enumerate(TICKETS) if n >= 150 or n % 3]
    for ticket in waiting:
        pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=30.0)
    snapshot = pool.snapshot(1.0)
    assert list(snapshot.tickets) == waiting
    group = snapshot.spaces[0]
    for place, steps, inverse in zip(group.places, group.steps, group.inverse, strict=True):
        interests = snapshot.tickets[int(place)].wish.interests
        assert steps.tolist() == interests.steps.tolist()
        assert steps * inverse == pytest.approx(interests.direction, abs=1e-6)


def test_a_space_that_nobody_needs_any_more_goes() -> None:
    shelves = VectorShelves()
    other = Space("other", "1", 1, Encoding.INT8, 1.0)
    places = [shelves.put(TICKETS[n].wish.interests) for n in range(20)]
    small = shelves.put(read_interests(other, b"\x01"))
    assert len({number for number, _ in places}) == 1 and small[0] != places[0][0]
    for _, slot in places:
        shelves.drop(SPACE, slot)
    again, _ = shelves.put(TICKETS[0].wish.interests)
    assert again not in (places[0][0], small[0])
    steps, inverse = shelves.gather(small[0], np.array([small[1]]))
    assert steps.tolist() == [[1]] and inverse.tolist() == [1.0]


def test_verdicts_and_sanctions_known_before_hold_from_the_start() -> None:
    pool = Pool()
    pool.add(ANA, 0.0, 0.0, Standing(Verdict.PROTECT))
    pool.add(BOB, 0.0, 0.0, Standing(Verdict.CLEAR, 9.0))
    for user in (ANA.user_id, BOB.user_id):
        pool.heartbeat(user, 0.0, present=True, pass_until=math.inf)
    gates = {look.ticket.user_id: look.gate for look in pool.looks(1.0)}
    assert gates == {ANA.user_id: Gate.NOT_CLEAR, BOB.user_id: Gate.SANCTION}


@pytest.mark.parametrize(
    ("gate", "others", "candidates", "reason"),
    [
        (Gate.SANCTION, 5, 5, WaitReason.SANCTIONED),
        (Gate.NOT_CLEAR, 5, 5, WaitReason.NOT_CLEAR),
        (Gate.AWAY, 5, 5, WaitReason.AWAY),
        (Gate.SAFETY_PASS, 0, 0, WaitReason.NO_SAFETY_PASS),
        (Gate.OPEN, 0, 0, WaitReason.POOL_EMPTY),
        (Gate.OPEN, 3, 0, WaitReason.NO_ONE_FITS),
        (Gate.AGE_UNKNOWN, 3, 0, WaitReason.AGE_UNKNOWN),
        (Gate.OPEN, 3, 2, WaitReason.NEXT_WAVE),
    ],
)
def test_everybody_who_waits_is_told_why(
    gate: Gate, others: int, candidates: int, reason: WaitReason
) -> None:
    assert wait_reason(gate, others, candidates) is reason


def test_a_synthetic_pool_is_the_same_for_the_same_seed() -> None:
    one, other = synthetic_pool(50, 9).snapshot(1.0), synthetic_pool(50, 9).snapshot(1.0)
    assert [t.person for t in one.tickets] == [t.person for t in other.tickets]
    assert isinstance(one.tickets[0], Ticket)
    assert np.array_equal(one.rows["tags"], other.rows["tags"])
