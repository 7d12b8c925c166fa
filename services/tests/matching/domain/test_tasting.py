"""Terms SESSION and LENGTH in waves: as their plain definitions say, and nothing for linear-1."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from inyeon.matching.domain.interests import MAX_DIMS, Encoding, Space, read_interests
from inyeon.matching.domain.length_rows import pair_row
from inyeon.matching.domain.lengths import LengthModel
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.recents import USUAL_LOG, Recent, RecentRefused, recent_of
from inyeon.matching.domain.replaying import pairs_digest
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel, Term
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.session_vectors import SessionVector, absorbed, session_term
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import Wave, WaveRules, decide
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

CROWD = [waiter.ticket for waiter in synthetic_waiters(60, seed=5)]
SESSION = ScoreModel("session-1", 0.5, {Term.INTERESTS: 1.0, Term.SESSION: 2.0})
LENGTH = ScoreModel("length-1", 0.5, {Term.SESSION: 0.5, Term.LENGTH: 2.0})
MODEL = LengthModel(
    (0.3, 0.6, 0.2, 0.5, 6.0, 1.0), (0.2,) * 6, (0.4, 0.3, -0.2, 0.8, 0.3, -0.1), -0.5
)
ANYBODY = Patience(start=0.0)
STEP = 1 / 10_000
"""Scores are rounded to steps of at least so much."""


def snapshot(*tickets: Ticket) -> Snapshot:
    """Everybody ready."""
    pool = Pool()
    for ticket in tickets or CROWD:
        pool.add(ticket, 0.0, 0.0)
        pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=30.0)
    return pool.snapshot(1.0)


def talk(ticket: Ticket) -> SessionVector:
    """A long one with somebody who is interested in the same."""
    vector = absorbed(None, ticket.wish.interests, 500.0, 7.0)
    assert vector is not None
    return vector


def known(seen: Snapshot) -> Snapshot:
    """Two of three liked the person five places on, more or less."""
    recents: list[Recent | None] = []
    for place in range(len(seen)):
        partner = seen.tickets[(place + 5) % len(seen)].wish.interests
        vector = absorbed(None, partner, 10.0 * 2 ** (place % 6), 1_000.0)
        recents.append(None if place % 3 == 0 or vector is None else recent_of(vector))
    return replace(seen, recents=tuple(recents))


def terms(seen: Snapshot, one: int, other: int) -> tuple[float, float]:
    """SESSION and LENGTH by their plain definitions."""
    people = [(seen.tickets[place], seen.recents[place]) for place in (one, other)]
    interests = [ticket.wish.interests.direction for ticket, _ in people]
    tastes = [
        np.zeros(len(interests[0]), np.float32)
        if recent is None
        else (recent.whole * recent.step).astype(np.float32)
        for _, recent in people
    ]
    session = float(
        session_term((tastes[0][None], tastes[1][None]), (interests[0][None], interests[1][None]))[
            0
        ]
    )
    usual = [USUAL_LOG if recent is None else recent.usual_log for _, recent in people]
    spoken = [{o.tag: o.level for o in ticket.wish.languages} for ticket, _ in people]
    level = max((min(spoken[0][tag], spoken[1].get(tag, 0)) for tag in spoken[0]), default=0)
    alike = max(float(interests[0] @ interests[1]), 0.0)
    row = [alike, level / 5, float(level == 0), session, sum(usual) / 2, abs(usual[0] - usual[1])]
    return session, float(MODEL.share(np.array([row]))[0])


def check(wave: Wave, seen: Snapshot, model: ScoreModel) -> None:
    """Every pair's score is as the definitions say."""
    assert len(wave.pairs) > 15
    for pair in wave.pairs:
        session, length = terms(seen, pair.one, pair.other)
        tickets = seen.tickets[pair.one], seen.tickets[pair.other]
        alike = float(tickets[0].wish.interests.direction @ tickets[1].wish.interests.direction)
        expected = model.meeting + model.weight(Term.INTERESTS) * max(alike, 0.0)
        expected += model.weight(Term.SESSION) * session + model.weight(Term.LENGTH) * length
        assert pair.score == pytest.approx(expected, abs=STEP)


@pytest.mark.parametrize("model", [SESSION, LENGTH], ids=lambda model: model.version)
def test_scores_are_those_of_the_definitions(model: ScoreModel) -> None:
    seen = known(snapshot())
    check(decide(seen, WaveRules(ANYBODY, score=model, lengths=MODEL), 1), seen, model)


@pytest.mark.usefixtures("plainly")
@pytest.mark.parametrize("model", [SESSION, LENGTH], ids=lambda model: model.version)
def test_plain_loops_say_the_same(model: ScoreModel) -> None:
    seen = known(snapshot()).take(np.arange(45))
    check(decide(seen, WaveRules(ANYBODY, score=model, lengths=MODEL), 1), seen, model)


@pytest.mark.usefixtures("plainly")
def test_people_of_two_spaces_know_nothing_of_each_other() -> None:
    space = Space("other", "2", 4, Encoding.INT8, 1.0)
    interests = read_interests(space, b"abcd")
    person = CROWD[0].person
    ana, bob = (
        replace(CROWD[0], ticket_id=f"t-{user}", person=replace(person, user_id=user))
        for user in ("ana", "bob")
    )
    ana = replace(ana, wish=replace(ana.wish, genders=frozenset(), countries=frozenset()))
    bob = replace(bob, wish=replace(ana.wish, interests=interests))
    seen = snapshot(ana, bob)
    both = tuple(recent_of(talk(ticket)) for ticket in seen.tickets)
    [pair] = decide(replace(seen, recents=both), WaveRules(ANYBODY, score=SESSION), 1).pairs
    assert pair.score == pytest.approx(0.5 + 2.0 * 0.5, abs=STEP)


def test_linear_1_decides_the_same_with_and_without() -> None:
    seen = snapshot()
    plain = decide(seen, WaveRules(), 3)
    assert pairs_digest(decide(known(seen), WaveRules(lengths=MODEL), 3)) == pairs_digest(plain)
    assert LINEAR_1.weight(Term.SESSION) == LINEAR_1.weight(Term.LENGTH) == 0.0


def test_what_is_known_changes_who_meets() -> None:
    seen = snapshot()
    rules = WaveRules(ANYBODY, score=SESSION)
    assert decide(known(seen), rules, 3).pairs != decide(seen, rules, 3).pairs


def test_what_nobody_knows_counts_alike_for_all() -> None:
    """Session 0.5 and, without a model, length 0."""
    seen = snapshot()
    asked = ScoreModel("more-1", 0.5, {"interests": 1.0, "session": 0.5, "length": 1.0})
    for pair in decide(seen, WaveRules(ANYBODY, score=asked), 3).pairs:
        one, other = (seen.tickets[at].wish.interests.direction for at in (pair.one, pair.other))
        assert pair.score == pytest.approx(0.75 + max(float(one @ other), 0.0), abs=STEP)


def test_a_taste_in_another_space_says_nothing_but_how_long_somebody_talks() -> None:
    seen = known(snapshot())
    other = Space("other", "1", 8, Encoding.INT8, 1.0)
    moved = tuple(
        None if recent is None else replace(recent, space=other, steps=bytes(8))
        for recent in seen.recents
    )
    elsewhere = replace(seen, recents=moved)
    nobody = replace(seen, recents=())
    rules = WaveRules(ANYBODY, score=SESSION)
    assert pairs_digest(decide(elsewhere, rules, 3)) == pairs_digest(decide(nobody, rules, 3))
    talking = WaveRules(ANYBODY, score=LENGTH, lengths=MODEL)
    assert pairs_digest(decide(elsewhere, talking, 3)) != pairs_digest(decide(nobody, talking, 3))


@pytest.mark.parametrize("dims", [1, 64, MAX_DIMS])
def test_a_vector_in_whole_numbers_is_the_vector(dims: int) -> None:
    draw = np.random.default_rng(dims)
    space = Space("any", "1", dims, Encoding.FLOAT16, 0.0)
    partner = read_interests(space, draw.normal(size=dims).astype(np.float16).tobytes())
    vector = absorbed(None, partner, 500.0, 7.0)
    assert vector is not None
    recent = recent_of(vector)
    again = recent.whole.astype(np.float64) * recent.step
    np.testing.assert_allclose(again, vector.direction, atol=0.51 * recent.step)
    assert np.linalg.norm(recent.whole.astype(np.float64)) < 4_096
    assert recent.usual_log == vector.usual_log and recent.ended_s == 7.0


def test_a_vector_without_a_direction() -> None:
    space = Space("any", "1", 3, Encoding.INT8, 1.0)
    recent = recent_of(SessionVector(space, np.zeros(3), 0.0, 1.0, 5.0, 7.0))
    assert (recent.step, recent.steps) == (0.0, bytes(3))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": b"12"}, "STEPS"),
        ({"step": math.nan}, "NUMBERS"),
        ({"step": -0.1}, "NUMBERS"),
        ({"step": 1.1}, "NUMBERS"),
        ({"usual_log": math.inf}, "NUMBERS"),
        ({"ended_s": math.nan}, "NUMBERS"),
    ],
)
def test_numbers_that_are_no_vector_are_refused(change: dict[str, object], reason: str) -> None:
    whole = Recent(Space("any", "1", 3, Encoding.INT8, 1.0), b"123", 0.1, 6.0, 0.0)
    with pytest.raises(RecentRefused) as caught:
        replace(whole, **change)  # type: ignore[arg-type]
    assert caught.value.reason == reason


ONLY_LENGTH = ScoreModel("only-length-1", 0.5, {Term.LENGTH: 1.0})


def lengths_of(seen: Snapshot) -> None:
    """What is learned from is what a wave predicts from."""
    wave = decide(seen, WaveRules(ANYBODY, score=ONLY_LENGTH, lengths=MODEL), 1)
    assert wave.pairs
    for pair in wave.pairs:
        for places in ((pair.one, pair.other), (pair.other, pair.one)):
            said = float(MODEL.share(np.array([pair_row(seen, *places)]))[0])
            assert pair.score == pytest.approx(0.5 + said, abs=STEP)


def test_rows_to_learn_from_are_what_waves_predict_from() -> None:
    seen = snapshot()
    lengths_of(seen)
    lengths_of(known(seen))


def test_rows_of_two_spaces() -> None:
    space = Space("other", "2", 4, Encoding.INT8, 1.0)
    interests = read_interests(space, b"abcd")
    person = CROWD[0].person
    ana, bob = (
        replace(CROWD[0], ticket_id=f"t-{user}", person=replace(person, user_id=user))
        for user in ("ana", "bob")
    )
    ana = replace(ana, wish=replace(ana.wish, genders=frozenset(), countries=frozenset()))
    bob = replace(bob, wish=replace(ana.wish, interests=interests))
    seen = snapshot(ana, bob)
    lengths_of(replace(seen, recents=tuple(recent_of(talk(one)) for one in seen.tickets)))
    moved = replace(bob, wish=ana.wish)
    both = snapshot(ana, moved)
    lengths_of(replace(both, recents=(None, recent_of(talk(bob)))))
