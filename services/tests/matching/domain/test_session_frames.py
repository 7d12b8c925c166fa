"""What passes knew of recent conversations is in their frames, and comes back to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain.frames import FrameMaker, Rebuilder, inputs_digest
from inyeon.matching.domain.lengths import LengthModel
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.recents import Recent, recent_of
from inyeon.matching.domain.replaying import pairs_digest
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.session_vectors import absorbed
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

CROWD = [waiter.ticket for waiter in synthetic_waiters(9, 3)]
RULES = WaveRules(
    Patience(start=0.0),
    score=ScoreModel("session-1", 0.5, {"session": 2.0, "length": 1.0}),
    lengths=LengthModel((0.5,) * 6, (0.5,) * 6, (0.3,) * 6, 0.0),
)


class Evening:
    """Passes, what they knew, and a replay that follows them."""

    def __init__(self) -> None:
        self.pool, self.maker, self.rebuilder = Pool(), FrameMaker(), Rebuilder()
        self.known: dict[str, Recent] = {}
        self.wave = 0

    def come(self, who: int) -> None:
        ticket = CROWD[who]
        self.pool.add(ticket, 0.0, 0.0)
        self.pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=math.inf)

    def learn(self, who: int) -> None:
        partner = CROWD[(who + self.wave) % len(CROWD)].wish.interests
        vector = absorbed(None, partner, 20.0 + 40.0 * self.wave, float(self.wave))
        assert vector is not None
        self.known[CROWD[who].user_id] = recent_of(vector)

    def snapshot(self) -> Snapshot:
        seen = self.pool.snapshot(1.0 + self.wave)
        recents = tuple(self.known.get(ticket.user_id) for ticket in seen.tickets)
        return replace(seen, recents=recents) if any(recents) else seen

    def check(self) -> int:
        """A pass is recorded and given back; how much of it is about recent conversations."""
        self.wave += 1
        seen = self.snapshot()
        frame = self.maker.make(self.wave, seen, 1.0 + self.wave - 1)
        self.maker.keep()
        again = self.rebuilder.take(self.wave, frame)
        assert inputs_digest(again) == inputs_digest(seen)
        assert pairs_digest(decide(again, RULES, 5)) == pairs_digest(decide(seen, RULES, 5))
        return len(frame.recents)


STEP = st.tuples(st.sampled_from(["come", "go", "learn", "forget", "wave"]), st.integers(0, 8))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_whatever_is_learned_and_forgotten_a_pass_is_given_back(
    steps: list[tuple[str, int]],
) -> None:
    evening = Evening()
    for what, who in steps:
        match what:
            case "come":
                evening.come(who)
            case "go":
                evening.pool.remove(CROWD[who].ticket_id, CROWD[who].user_id)
            case "learn":
                evening.learn(who)
            case "forget":
                evening.known.pop(CROWD[who].user_id, None)
            case _:
                evening.check()
    evening.check()


def test_only_what_changed_is_written() -> None:
    evening = Evening()
    for who in range(len(CROWD)):
        evening.come(who)
    assert evening.check() == 0
    evening.learn(2)
    evening.learn(5)
    assert [evening.check(), evening.check()] == [2, 0]
    evening.learn(5)
    evening.known.pop(CROWD[2].user_id)
    assert evening.check() == 2
    evening.known.clear()
    assert [evening.check(), evening.check()] == [1, 0]


def test_other_recent_conversations_are_other_inputs() -> None:
    evening = Evening()
    evening.come(1)
    evening.come(2)
    before = inputs_digest(evening.snapshot())
    evening.learn(1)
    learned = inputs_digest(evening.snapshot())
    evening.wave = 3
    evening.learn(1)
    assert len({before, learned, inputs_digest(evening.snapshot())}) == 3
