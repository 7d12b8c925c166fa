"""Cutting a text loses nothing."""

# ruff: noqa: RUF001 - letters of other scripts are what is tested

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.translation.domain.sentences import MAX_SENTENCE, split

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hi. How are you?", ["Hi.", "How are you?"]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("こんにちは。元気？はい", ["こんにちは。", "元気？", "はい"]),
        ("Mr. Kim is here. Good.", ["Mr. Kim is here.", "Good."]),
        ("one\ntwo", ["one", "two"]),
        ("Dr.\nNo", ["Dr.", "No"]),
        ("3.5 is a number", ["3.5 is a number"]),
        ("  lead. and trail  ", ["lead.", "and trail"]),
        ("はい。", ["はい。"]),
        ("", []),
        ("   ", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [s.text for s in split(text) if s.text] == sentences


def test_long_text_is_cut_at_a_soft_place_or_anywhere() -> None:
    words = split("word " * 200)
    assert all(len(s.text) <= MAX_SENTENCE for s in words)
    assert all(s.text.endswith("word") for s in words)
    assert [len(s.text) for s in split("x" * 900)] == [400, 400, 100]


@given(st.text(alphabet=" \n.!?。」\"')abc…dあ", max_size=900))
def test_nothing_is_lost(text: str) -> None:
    joined = "".join(s.text + s.gap for s in split(text))
    assert joined == text.lstrip() or not text.strip()
    assert all(len(s.text) <= MAX_SENTENCE for s in split(text))
