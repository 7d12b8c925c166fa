"""Records of passes: written, cut into parts, read back, and refused where they are garbage."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from inyeon.matching.adapters import frames as codec
from inyeon.matching.adapters.decisions import DecisionReader
from inyeon.matching.adapters.events import wave_decided
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.app.recording import EPOCH_BITS, Asked, Recorder
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.matches import LiveMatch, Side
from inyeon.matching.domain.replaying import Fate, Replayer
from inyeon.matching.domain.scoring import SCORE_VERSION, Patience
from inyeon.matching.domain.waves import Wave, WaveRules, decide
from inyeon.matching.workload import synthetic_pool
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.records import RECORD_LIMIT_BYTES
from inyeon.runtime.log.topics import DECISIONS
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
RULES = WaveRules(Patience(0.3, 25.0), Routes.parse(["en-es", "de-fr"]))


def proposal(wave: Wave, number: int) -> Proposal:
    pair = wave.pairs[number]
    one, other = (wave.snapshot.tickets[place] for place in (pair.one, pair.other))
    sides = [Side(x.user_id, x.wish.languages, x.person.country, 0.0) for x in (one, other)]
    match = LiveMatch(f"m-{number}", "main", sides[0], sides[1], AT, ())
    return Proposal(match, (one.ticket_id, other.ticket_id), (pair.one, pair.other), pair.score)


class Owner:
    """Owns a pool and records its passes."""

    def __init__(self, people: int = 60) -> None:
        self.pool, self.recorder = synthetic_pool(people, 4), Recorder(codec.ProtoFrames())
        self.epoch, self.waves, self.now = 1, 0, 1.0

    def run(
        self, rules: WaveRules = RULES, left_out: int = 0, written: bool = True
    ) -> list[NewRecord]:
        self.waves += 1
        self.now += 0.3
        asked = Asked(self.pool.snapshot(self.now), self.now, rules, seed=self.waves)
        wave = decide(asked.snapshot, rules, asked.seed)
        described = self.recorder.describe(asked, wave, self.epoch << EPOCH_BITS | self.waves)
        proposals = tuple(proposal(wave, number) for number in range(len(wave.pairs)))
        stand = frozenset(one.match.match_id for one in proposals[left_out:])
        ids = tuple(ticket.ticket_id for ticket in wave.snapshot.tickets)
        order = WaveOrder(
            "main", self.epoch, self.waves, AT, ids, proposals, SCORE_VERSION, described
        )
        self.recorder.settle(written)
        for one in proposals[:3]:
            for ticket_id, user_id in zip(one.tickets, one.match.users, strict=True):
                self.pool.remove(ticket_id, user_id)
        return wave_decided(order, stand)


def as_read(records: Sequence[NewRecord]) -> list[Record]:
    return [
        Record(one.topic, 0, number, one.key, one.value, one.headers, AT)
        for number, one in enumerate(records)
    ]


def fates(records: Sequence[NewRecord]) -> list[Fate]:
    reader, replayer = DecisionReader(), Replayer()
    decisions = [reader.take(one) for one in as_read(records)]
    return [replayer.take(one).fate for one in decisions if one is not None]


def test_passes_are_done_again_with_their_own_rules() -> None:
    owner = Owner()
    written = owner.run() + owner.run(left_out=1) + owner.run(WaveRules(Patience(0.1)))
    written += owner.run(WaveRules(Patience(0.1)))
    assert fates(written) == [Fate.SAME] * 4
    assert all(one.topic == DECISIONS and one.key == "main" for one in written)


def test_other_rules_epochs_and_doubtful_commits_make_key_frames() -> None:
    def base(records: Sequence[NewRecord]) -> int:
        decision = DecisionReader().take(as_read(records)[-1])
        assert decision is not None
        return decision.frame.base

    owner = Owner()
    assert base(owner.run()) == 0
    reader = DecisionReader()
    assert reader.take(as_read(owner.run())[-1]) is None, "a change: nothing to read from here"
    assert reader.orphans == 1
    assert base(owner.run(WaveRules())) == 0
    owner.epoch, owner.waves = 2, 0
    assert base(owner.run(WaveRules())) == 0
    asked = Asked(owner.pool.snapshot(owner.now), owner.now, WaveRules(), seed=9)
    owner.recorder.describe(asked, decide(asked.snapshot, asked.rules, 9), 2 << EPOCH_BITS | 50)
    assert base(owner.run(WaveRules())) == 0, "nobody said whether the log has it"


def test_a_pass_that_was_not_written_is_no_base() -> None:
    owner = Owner()
    first = owner.run()
    owner.run(written=False)
    assert fates(first + owner.run()) == [Fate.SAME, Fate.SAME]


def test_large_inputs_are_cut_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "PIECE_BYTES", 1000)
    owner = Owner()
    written = owner.run()
    assert len(written) > 3 and fates(written) == [Fate.SAME]
    reader = DecisionReader()
    assert [reader.take(one) for one in as_read(written[1:])] == [None] * (len(written) - 1)
    assert reader.orphans == 1, "the first part was gone before anything was read"
    known = DecisionReader()
    for one in as_read(written):
        known.take(one)
    with pytest.raises(PoisonRecord) as refused:
        known.take(as_read(written)[-1])
    assert refused.value.reason == "PARTS_MISSING"


def test_parts_of_another_pass_are_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "PIECE_BYTES", 1000)
    cut, again = Owner().run(), Owner().run()
    assert fates(cut[:2] + again) == [Fate.SAME], "a publish that was repeated from its start"


def test_a_full_pool_fits_into_records() -> None:
    owner = Owner(3000)
    written = owner.run()
    assert all(len(one.value or b"") < RECORD_LIMIT_BYTES for one in written)
    assert fates(written) == [Fate.SAME]


def test_only_those_in_pairs_are_named_outside_the_inputs() -> None:
    (record,) = Owner().run(left_out=2)
    event = events_pb2.WaveDecided.FromString(record.value or b"")
    named = {event.tickets[place] for place in [*event.pairs, *event.left_out]}
    assert named == set(event.tickets) and len(event.left_out) == 4
    assert len(event.scores) == len(event.pairs) // 2


def test_a_pass_without_inputs_is_counted() -> None:
    event = events_pb2.WaveDecided(pool="main", wave=3)
    reader = DecisionReader()
    (record,) = as_read([new_event(DECISIONS, "main", event, occurred_at=AT)])
    assert reader.take(record) is None and reader.unrecorded == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": b"no zlib"}, "FRAME_UNREADABLE"),
        ({"inputs": zlib.compress(b"\xff\xff")}, "FRAME_UNREADABLE"),
        ({"inputs": zlib.compress(b"whole")[:-1]}, "FRAME_UNREADABLE"),
        (
            {"inputs": zlib.compress(events_pb2.WaveInputs(rules="{").SerializeToString())},
            "FRAME_UNREADABLE",
        ),
        ({"pairs": [0, 99]}, "PAIR_UNKNOWN"),
        ({"pairs": [0]}, "PAIR_UNKNOWN"),
    ],
)
def test_garbage_is_refused_by_reason(changes: dict[str, Any], reason: str) -> None:
    (record,) = Owner().run()
    event = events_pb2.WaveDecided.FromString(record.value or b"")
    for name, value in changes.items():
        event.ClearField(name)  # type: ignore[arg-type]
        event.MergeFrom(events_pb2.WaveDecided(**{name: value}))
    (read,) = as_read([dataclasses.replace(record, value=event.SerializeToString())])
    with pytest.raises(PoisonRecord) as refused:
        DecisionReader().take(read)
    assert refused.value.reason == reason


def test_seekers_are_kept() -> None:
    owner = Owner()
    asked = Asked(owner.pool.snapshot(1.0), 1.0, RULES, seed=1, seekers=np.array([2, 5]))
    frame = owner.recorder._maker.make(1, asked.snapshot, 1.0)
    _, rules, seekers = codec.read_frame(codec.ProtoFrames().encode(frame, asked), None)
    assert rules == RULES and seekers is not None and seekers.tolist() == [2, 5]
