"""Frames give back, to the last bit, what passes looked at, whatever happened between them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain import frames
from inyeon.matching.domain.filters import Filter, WideningStep
from inyeon.matching.domain.frames import BaseMissing, Frame, FrameMaker, Rebuilder, inputs_digest
from inyeon.matching.domain.people import Gender
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.replaying import (
    Decision,
    Fate,
    Replayer,
    engine_version,
    pairs_digest,
    ticket_pairs,
)
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

CROWD = [one.ticket for one in synthetic_waiters(12, 3, minors=0.2)]
PLAN = (WideningStep(3.0, Filter.GENDERS),)
RULES = WaveRules()


def widening(ticket: Ticket) -> Ticket:
    wish = dataclasses.replace(ticket.wish, genders=frozenset({Gender.OTHER}), widening=PLAN)
    return dataclasses.replace(ticket, wish=wish)


class Evening:
    """A pool to which things happen, and its frames."""

    def __init__(self) -> None:
        self.pool, self.maker, self.rebuilder = Pool(), FrameMaker(), Rebuilder()
        self.now, self.wave, self.joined = 1000.1, 0, 0

    def come(self, who: int) -> None:
        self.joined += 1
        ticket = dataclasses.replace(CROWD[who], ticket_id=f"t-{who}-{self.joined}")
        ticket = widening(ticket) if who % 3 == 0 else ticket
        if self.pool.add(ticket, self.now, self.now - 0.3 * who):
            self.beat(who)

    def beat(self, who: int, present: bool = True) -> None:
        self.pool.heartbeat(CROWD[who].user_id, self.now, present, math.inf)

    def go(self, who: int) -> None:
        ticket = self.pool.of_user(CROWD[who].user_id)
        if ticket is not None:
            self.pool.remove(ticket.ticket_id, ticket.user_id)

    def bar(self, who: int, for_s: float) -> None:
        other = CROWD[(who + 1) % len(CROWD)].user_id
        self.pool.bar(CROWD[who].user_id, other, self.now + for_s)

    def snapshot(self) -> Snapshot:
        self.pool.tick(self.now)
        return self.pool.snapshot(self.now)

    def frame(self) -> tuple[Snapshot, Frame]:
        self.wave += 1
        seen = self.snapshot()
        return seen, self.maker.make(self.wave, seen, self.now)

    def check(self) -> Frame:
        """A pass is recorded and given back."""
        seen, frame = self.frame()
        self.maker.keep()
        again = self.rebuilder.take(self.wave, frame)
        assert [one.ticket_id for one in again.tickets] == [one.ticket_id for one in seen.tickets]
        assert again.waited_s.tobytes() == seen.waited_s.tobytes()
        assert inputs_digest(again) == inputs_digest(seen)
        assert pairs_digest(decide(again, RULES, 5)) == pairs_digest(decide(seen, RULES, 5))
        return frame


STEP = st.tuples(
    st.sampled_from(["come", "go", "away", "back", "bar", "time", "wave", "lost", "forget"]),
    st.integers(0, len(CROWD) - 1),
    st.floats(0.01, 13.0),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_whatever_happens_a_pass_is_given_back(steps: list[tuple[str, int, float]]) -> None:
    evening = Evening()
    for what, who, amount in steps:
        match what:
            case "come":
                evening.come(who)
            case "go":
                evening.go(who)
            case "away" | "back":
                evening.beat(who, present=what == "back")
            case "bar":
                evening.bar(who, amount)
            case "time":
                evening.now += amount
            case "wave":
                evening.check()
            case "lost":
                evening.frame()  # was never written
            case _:
                evening.maker.forget()
    evening.check()


def full() -> Evening:
    evening = Evening()
    for who in range(len(CROWD)):
        evening.come(who)
    return evening


def test_who_stays_costs_nothing() -> None:
    evening = full()
    assert len(evening.check().entered) == len(CROWD)
    evening.now += 1
    second = evening.check()
    assert second.base == 1 and not second.entered and not len(second.left) + len(second.odd)
    assert not len(second.barred) + len(second.unbarred)


def test_who_was_away_comes_back_without_a_second_description() -> None:
    evening = full()
    evening.check()
    evening.beat(4, present=False)
    assert evening.check().left.tolist() == [4]
    evening.beat(4)
    (entry,) = evening.check().entered
    assert entry.place == 4 and entry.ticket is None


def test_bars_come_and_go() -> None:
    evening = full()
    evening.check()
    evening.bar(2, 5.0)
    assert evening.check().barred.tolist() == [[2, 3]]
    assert not len(evening.check().barred)
    evening.now += 6
    assert evening.check().unbarred.tolist() == [[2, 3]]


def test_key_frames_come_by_count_and_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "KEY_EVERY", 3)
    evening = full()
    assert [evening.check().base for _ in range(7)] == [0, 1, 2, 0, 4, 5, 0]
    evening.now += frames.KEY_EVERY_S + 1
    assert evening.check().base == 0


def test_an_earlier_order_is_never_a_base() -> None:
    evening = full()
    seen, _ = evening.frame()
    evening.maker.keep()
    turned = dataclasses.replace(
        seen,
        tickets=seen.tickets[::-1],
        rows=seen.rows[::-1],
        waited_s=seen.waited_s[::-1],
    )
    assert evening.maker.make(2, turned, evening.now).base == 0


def test_what_was_never_made_cannot_be_kept() -> None:
    evening = full()
    evening.maker.keep()
    assert evening.check().base == 0


def test_nobody_is_a_frame_too() -> None:
    evening = Evening()
    assert evening.check().base == 0
    evening.come(1)
    assert evening.check().base == 1
    evening.go(1)
    assert evening.check().left.tolist() == [0]


def test_without_its_base_a_frame_is_refused_and_changes_nothing() -> None:
    evening = full()
    evening.check()
    evening.now += 1
    seen, frame = evening.frame()
    stranger = Rebuilder()
    with pytest.raises(BaseMissing, match="builds on wave 1"):
        stranger.take(2, frame)
    assert inputs_digest(evening.rebuilder.take(2, frame)) == inputs_digest(seen)


def test_a_ticket_that_was_never_described_is_refused() -> None:
    entry = frames.Entry(0, "t", None, 0.0, 0.0)
    none = np.zeros(0, np.int64)
    pairs = none.reshape(-1, 2)
    frame = Frame(0, 1.0, (entry,), none, pairs, pairs, none, np.zeros(0))
    with pytest.raises(BaseMissing, match="not described"):
        Rebuilder().take(1, frame)


def recorded(evening: Evening, **changes: object) -> Decision:
    seen, frame = evening.frame()
    evening.maker.keep()
    wave = decide(seen, RULES, evening.wave)
    decision = Decision(
        pool="main",
        wave=evening.wave,
        engine=engine_version(),
        frame=frame,
        inputs=inputs_digest(seen),
        rules=RULES,
        seed=evening.wave,
        seekers=None,
        pairs=ticket_pairs(wave),
        digest=pairs_digest(wave),
    )
    return dataclasses.replace(decision, **changes)  # type: ignore[arg-type]


def test_a_replay_says_how_each_pass_fared() -> None:
    evening, replayer = full(), Replayer()
    evening.now += 60
    good = recorded(evening)
    assert good.pairs, "else nothing is compared"
    assert replayer.take(good).fate is Fate.SAME
    other = replayer.take(recorded(evening, engine="linear-0/abc"))
    assert (other.fate, other.first_difference) == (Fate.OTHER_ENGINE, "linear-0/abc")
    assert replayer.take(recorded(evening, inputs=b"?")).fate is Fate.INPUTS_DIFFER
    assert replayer.take(recorded(evening, digest=b"?")).first_difference.startswith("scores")
    recorded(evening)
    assert replayer.take(recorded(evening)).fate is Fate.BASE_MISSING


def test_the_first_pair_that_differs_is_named() -> None:
    evening = full()
    evening.now += 60
    good = recorded(evening)
    one, *rest = good.pairs
    found = Replayer().take(dataclasses.replace(good, pairs=((one[1], one[0]), *rest), digest=b""))
    assert found.fate is Fate.PAIRS_DIFFER
    assert found.first_difference == f"pair 0: {one[1]} with {one[0]}, now {one[0]} with {one[1]}"
    fewer = Replayer().take(dataclasses.replace(good, pairs=good.pairs[:-1], digest=b""))
    assert fewer.first_difference.endswith(f"{len(good.pairs) - 1} pairs, now {len(good.pairs)}")


def test_another_engine_may_be_compared_on_purpose() -> None:
    evening = full()
    found = Replayer(any_engine=True).take(recorded(evening, engine="linear-0/abc"))
    assert found.fate is Fate.SAME
