"""The board shows what it was told and stays bounded."""

from __future__ import annotations

import pytest

from inyeon.gateway.domain.board import MAX_LINES, MAX_PEOPLE, Board

pytestmark = pytest.mark.unit


def test_facts_of_a_person_are_merged() -> None:
    board = Board()
    board.person("a", {"verdict": "CLEAR"})
    board.person("a", {"presence": "ALONE"})
    assert board.snapshot()["people"] == [{"subject": "a", "verdict": "CLEAR", "presence": "ALONE"}]


def test_each_change_raises_the_version() -> None:
    board = Board()
    board.match("m", {"state": "live"})
    board.step("s", {"state": "done"})
    board.line({"text": "hi"})
    snapshot = board.snapshot()
    assert snapshot["version"] == 3
    assert snapshot["matches"] == [{"match": "m", "state": "live"}]
    assert snapshot["steps"] == [{"step": "s", "state": "done"}]
    assert snapshot["lines"] == [{"text": "hi"}]


def test_the_oldest_go_first() -> None:
    board = Board()
    for number in range(MAX_PEOPLE + 3):
        board.person(str(number), {})
    for number in range(MAX_LINES + 3):
        board.line({"n": number})
    people = board.snapshot()["people"]
    assert isinstance(people, list)
    assert people[0] == {"subject": "3"}
    assert len(board.lines) == MAX_LINES
