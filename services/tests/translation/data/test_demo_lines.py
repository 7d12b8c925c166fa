"""The shipped lines are those that the script chooses, and nothing else chose them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inyeon.translation.data import DEMO_LINES, select_demo_lines

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).parents[4]


def test_the_script_makes_the_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(os.environ.get("INYEON_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = data / "translation" / "tatoeba-dev"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    monkeypatch.setattr(select_demo_lines, "DEMO_LINES", tmp_path / "lines.tsv")
    select_demo_lines.main(folder)
    assert (tmp_path / "lines.tsv").read_bytes() == DEMO_LINES.read_bytes()


def test_the_notice_is_beside_it() -> None:
    notice = (DEMO_LINES.parent / "NOTICE.txt").read_text("utf-8")
    assert "tatoeba.org" in notice and "CC BY 2.0 FR" in notice
