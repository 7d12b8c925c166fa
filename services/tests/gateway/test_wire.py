"""What goes between replicas comes back the same; anything else is passed over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from inyeon.gateway.adapters.followers import show
from inyeon.gateway.adapters.wire import NOTICE, decode, encode
from inyeon.gateway.app.signalling import Handed, Notice, PartnerIsGone, Relayed
from inyeon.gateway.domain.board import Board
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import Record
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.moderation.v1 import safety_pb2

pytestmark = pytest.mark.unit

NAMES = st.text(min_size=1, max_size=20)
HANDED = st.one_of(
    st.builds(Notice, NAMES, st.integers(0, 2**63), st.booleans()),
    st.builds(Relayed, NAMES, st.integers(0, 4), st.text(max_size=50)),
    st.builds(PartnerIsGone, NAMES, st.booleans()),
)


@given(HANDED)
def test_what_is_handed_arrives(what: Handed) -> None:
    assert decode(*encode(what)) == what


def test_unknown_types_and_garbage_are_passed_over() -> None:
    assert decode("inyeon.edge.v9.Something", b"") is None
    assert decode(NOTICE, b"\xff\xff\xff") is None


def record(message: Message) -> Record:
    now = ManualClock().now()
    new = new_event("any", "k", message, occurred_at=now)
    return Record(new.topic, 0, 0, new.key, new.value, new.headers, now)


def test_the_board_follows_verdicts_and_matches() -> None:
    board = Board()
    verdict = events_pb2.VerdictRecorded(
        user_id="a", verdict=safety_pb2.VERDICT_PROTECT, reason="DRAWING_SUSTAINED"
    )
    show(record(verdict), board)
    reason = matching_pb2.MatchExplanation(
        reason=matching_pb2.MATCH_REASON_INTERESTS, strength=0.71
    )
    show(
        record(events_pb2.MatchLive(match_id="m", user_a="a", user_b="b", reasons=[reason])), board
    )
    ended = events_pb2.MatchEnded(match_id="m", reason=matching_pb2.END_REASON_POLICY)
    show(record(ended), board)
    show(replace(record(ended), value=None), board)
    snapshot = board.snapshot()
    assert snapshot["people"] == [
        {"subject": "a", "verdict": "PROTECT", "verdict_reason": "DRAWING_SUSTAINED"}
    ]
    assert snapshot["matches"] == [
        {
            "match": "m",
            "state": "ended",
            "people": ["a", "b"],
            "reasons": ["INTERESTS 0.71"],
            "end_reason": "POLICY",
        }
    ]
