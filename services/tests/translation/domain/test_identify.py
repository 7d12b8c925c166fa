"""Letters first, then Bayes with the pair as prior."""

from __future__ import annotations

import pytest

from inyeon.translation.domain.identify import Detected, Habit, decisive, posterior

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "candidates", "language"),
    [
        ("안녕하세요", (), "ko"),
        ("これはペンです", (), "ja"),
        ("漢字", (), "zh"),
        ("漢字", ("ja", "en"), "ja"),
        ("漢字", ("ja", "zh"), "zh"),
        ("สวัสดี", (), "th"),
        ("नमस्ते", (), "hi"),
        ("чи є їжа", (), "uk"),
        ("это", (), "ru"),
        ("ыі", (), ""),
        ("привет", (), ""),
        ("چطوری", (), "fa"),
        ("أهلاً", (), "ar"),
        ("được", (), "vi"),
        ("hello", (), ""),
        ("שלום", (), ""),
        ("1234", (), ""),
        ("I said 안녕", (), ""),
    ],
)
def test_decisive(text: str, candidates: tuple[str, ...], language: str) -> None:
    assert decisive(text, candidates) == language


SCORES = {"en": -10.0, "es": -10.5, "de": -9.9, "ru": 0.0}


def test_the_pair_decides_close_calls() -> None:
    assert posterior(SCORES, "abc", ()).language == "de"
    found = posterior(SCORES, "abc", ("en", "es"))
    assert found.language == "en" and 0.4 < found.confidence < 0.9


def test_strong_evidence_beats_the_pair() -> None:
    assert posterior({"en": -100.0, "de": 0.0}, "abc", ("en", "es")).language == "de"


def test_a_habit_tips_the_scale() -> None:
    habit = Habit()
    assert posterior({"en": 0.0, "es": -0.1}, "abc", ("en", "es"), habit).language == "en"
    for _ in range(4):
        habit.note("es")
    assert posterior({"en": 0.0, "es": -0.1}, "abc", ("en", "es"), habit).language == "es"


def test_nothing_to_choose_from() -> None:
    assert posterior({}, "abc", ()) == Detected("", 0.0)
    assert posterior({"ru": 0.0}, "abc", ()) == Detected("", 0.0)
    assert posterior({"ru": 0.0, "xx": 1.0}, "!!", ("xx",)).language == "ru"
