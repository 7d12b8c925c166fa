"""Events of a device become facts, and only these."""

from __future__ import annotations

import pytest

from inyeon.cli.demo.seen import Seen

pytestmark = pytest.mark.unit


def matched(match_id: str) -> dict[str, object]:
    reasons = [{"reason": "INTERESTS", "strength": 0.7, "detail": ""}]
    return {"event": "matched", "match_id": match_id, "partner_id": "b", "reasons": reasons}


def over(match_id: str, reason: str) -> dict[str, object]:
    return {"event": "match_over", "match_id": match_id, "reason": reason, "by_me": False}


def test_a_match_is_live_until_it_is_over() -> None:
    seen = Seen("a")
    seen.apply(matched("m1"), 1.0)
    assert seen.match_id == "m1"
    seen.apply(over("m1", "POLICY"), 2.0)
    assert seen.match_id == ""
    assert seen.overs == [(2.0, "m1", "POLICY")]


def test_a_match_told_again_is_the_same_match() -> None:
    seen = Seen("a")
    seen.apply(matched("m1"), 1.0)
    seen.apply(matched("m1"), 5.0)
    assert [m.at_s for m in seen.matches] == [1.0]


def test_a_wait_is_noted_once_for_each_reason() -> None:
    seen = Seen("a")
    for reason in ("POOL_EMPTY", "POOL_EMPTY", "NEXT_WAVE"):
        seen.apply({"event": "queued", "reason": reason, "candidates": 0}, 1.0)
    seen.apply({"event": "paused", "reason": "AWAY"}, 2.0)
    assert [reason for _, reason in seen.waits] == ["POOL_EMPTY", "NEXT_WAVE", "AWAY"]


def test_covers_are_kept_by_whose_picture_it_is() -> None:
    seen = Seen("a")
    seen.apply({"event": "cover", "subject": "myself", "on": True, "by": "local"}, 1.0)
    seen.apply({"event": "cover", "subject": "partner", "on": True, "by": "directive"}, 1.0)
    seen.apply({"event": "cover", "subject": "partner", "on": False, "by": "directive"}, 2.0)
    assert seen.covered("myself")
    assert not seen.covered("partner")


def test_everything_else_is_taken_as_said() -> None:
    seen = Seen("a")
    events: list[dict[str, object]] = [
        {"event": "started", "subject": "a", "pid": 7, "preview": ""},
        {"event": "previews", "myself": "http://127.0.0.1:1/", "partner": ""},
        {"event": "presence", "state": "ALONE"},
        {"event": "blurred", "frames": 30},
        {"event": "verdict", "verdict": "PROTECT", "reason": "DRAWING_SUSTAINED"},
        {"event": "told", "action": "WARN", "subject": "partner", "reason": "X"},
        {"event": "call", "state": "connected"},
        {"event": "media", "sent": 1, "decoded": 2, "changed": 3, "filtered": 4},
        {"event": "said", "id": "s1", "sequence": 1, "acknowledged": True},
        {"event": "said", "id": "s2", "sequence": 2, "acknowledged": False},
        {"event": "error", "reason": "R", "message": "m"},
        {"event": "something new"},
        {},
    ]
    for event in events:
        seen.apply(event, 1.0)
    assert (seen.pid, seen.preview, seen.presence) == (7, "http://127.0.0.1:1/stream", "ALONE")
    assert seen.partner_preview == ""
    assert (seen.blurred, seen.verdict, seen.call) == (30, "PROTECT", "connected")
    assert seen.media == {"sent": 1, "decoded": 2, "changed": 3, "filtered": 4}
    assert seen.acknowledged == {"s1"}
    assert seen.told == [(1.0, "WARN", "partner", "X")]
    assert seen.errors == ["R: m"]
