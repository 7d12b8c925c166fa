"""The history: what is written is read again, whatever ended the driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from inyeon_chaos.history import History, Kind, read_history

pytestmark = pytest.mark.unit


def test_entries_are_numbered_and_read_again(tmp_path: Path) -> None:
    with History(tmp_path / "runs" / "history.jsonl") as history:
        history.add(Kind.SENT, "order", id="a", amount=3)
        history.add(Kind.FAULT, "kill", target="producer-0")
    found = read_history(history.path)
    assert found == history.entries
    assert [entry.place for entry in found] == ["history:1", "history:2"]
    assert found[0].text("id") == "a"
    assert found[0].text("missing") == ""


def test_a_half_written_last_line_is_passed_over(tmp_path: Path) -> None:
    with History(tmp_path / "history.jsonl") as history:
        history.add(Kind.SENT, "order", id="a")
    with history.path.open("a") as file:
        file.write('{"n": 2, "at"')
    assert read_history(history.path) == history.entries


@pytest.mark.parametrize("line", ["garbage", "{}", '{"n":1,"at":0,"kind":"dreamt"}', "[]"])
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1 is no entry"):
        read_history(path)
