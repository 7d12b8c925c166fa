"""Live matches of a replica, and who gets waiting time back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inyeon.matching.domain.matches import EndReason, LiveMatch, Side, credited
from inyeon.matching.domain.meetings import Meetings

pytestmark = pytest.mark.unit


def a_match(match_id: str, first: str, second: str) -> LiveMatch:
    one, other = Side(first, (), "", 1.0), Side(second, (), "", 1.0)
    return LiveMatch(match_id, "main", one, other, datetime(2026, 1, 1, tzinfo=UTC), ())


def test_a_user_is_in_at_most_one_match() -> None:
    meetings = Meetings()
    match = a_match("m", "a", "b")
    meetings.begin(match, 0.0)
    with pytest.raises(ValueError, match="'b'"):
        meetings.begin(a_match("n", "b", "c"), 0.0)
    assert meetings.of_user("c") is None
    assert meetings.of_user("a") is match
    assert list(meetings) == [match]
    assert meetings.end("m") and not meetings.end("m")
    assert len(meetings) == 0 and meetings.of_user("a") is None


def test_what_people_say_to_a_match_replaces_it_while_it_lives() -> None:
    meetings = Meetings()
    match = a_match("m", "a", "b")
    meetings.begin(match, 0.0)
    again = a_match("m", "a", "b")
    meetings.replace(again)
    assert meetings.of_user("b") is again
    meetings.end("m")
    meetings.replace(match)
    assert len(meetings) == 0


def test_a_silent_device_loses_the_match_after_30_s() -> None:
    meetings = Meetings()
    match = a_match("m", "a", "b")
    meetings.begin(match, 0.0)
    meetings.heard("a", 10.0)
    meetings.heard("stranger", 10.0)
    assert meetings.lost(29.9) == []
    assert meetings.lost(30.0) == [(match, frozenset({"b"}))]
    assert meetings.lost(40.0) == [(match, frozenset({"a", "b"}))]


def test_grants_are_due_each_minute() -> None:
    meetings = Meetings()
    match = a_match("m", "a", "b")
    meetings.begin(match, 0.0)
    assert meetings.renew(59.9) == []
    assert meetings.renew(60.0) == [(match, "a"), (match, "b")]
    assert meetings.renew(61.0) == []
    assert len(meetings.renew(120.0)) == 2


def test_partners() -> None:
    match = a_match("m", "a", "b")
    assert (match.partner("a").user_id, match.partner("b").user_id) == ("b", "a")
    with pytest.raises(KeyError):
        match.partner("c")


@pytest.mark.parametrize(
    ("reason", "to_blame", "users"),
    [
        (EndReason.LEFT, "", ""),
        (EndReason.CONNECT_FAILED, "", "ab"),
        (EndReason.CONNECT_FAILED, "a", "b"),
        (EndReason.DECLINED, "a", "b"),
        (EndReason.NOT_ACCEPTED, "ab", ""),
        (EndReason.LOST, "a", "b"),
        (EndReason.LOST, "ab", ""),
        (EndReason.POLICY, "b", "a"),
        (EndReason.REPORTED, "b", "a"),
    ],
)
def test_who_is_not_to_blame_keeps_the_waiting_time(
    reason: EndReason, to_blame: str, users: str
) -> None:
    sides = credited(a_match("m", "a", "b"), reason, frozenset(to_blame))
    assert "".join(side.user_id for side in sides) == users
