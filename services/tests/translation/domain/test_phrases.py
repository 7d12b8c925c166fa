"""The phrasebook: exact, normalised, with slots; and the one that ships."""

# ruff: noqa: RUF001 - letters of other scripts are what is tested

from __future__ import annotations

from pathlib import Path

import pytest

from inyeon.translation.data import demo_lines, read_phrasebook
from inyeon.translation.domain.normalising import normalise, variants
from inyeon.translation.domain.phrases import Phrasebook
from inyeon.translation.domain.protection import protect

pytestmark = pytest.mark.unit

BOOK = Phrasebook(
    [
        {"en": ["How are you?", "How is it going?"], "es": ["¿Cómo estás?", "Qué tal"]},
        {"en": ["Good"], "fr": ["Bien"]},
        {
            "en": ["My name is {name}."],
            "es": ["Me llamo {name}."],
            "ko": ["제 이름은 {name}입니다."],
        },
        {"en": ["{name}, see {link}"], "es": ["{name}, mira {link}"]},
    ]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("How are you?", "¿Cómo estás?"),
        ("HOW  ARE YOU", "¿Cómo estás?"),
        ("how r u??", "¿Cómo estás?"),
        ("hooow are youuu", "¿Cómo estás?"),
        ("how’s it going", "¿Cómo estás?"),
        ("XQE0 how are you XQE1", "XQE0 ¿Cómo estás? XQE1"),
        ("my NAME is XQN0!!", "Me llamo XQN0."),
        ("My name is Tom Lee", "Me llamo Tom Lee."),
        ("My name is unknown to you", None),
        ("XQN0, see: XQL1", "XQN0, mira XQL1"),
        ("XQL0, see: XQL1", None),
        ("How are you today", None),
        ("good", None),
        ("how are you " * 40, None),
        ("", None),
    ],
)
def test_say(text: str, said: str | None) -> None:
    assert BOOK.say(text, "en", "es") == said


def test_a_slot_phrase_without_the_target_language_is_not_there() -> None:
    assert BOOK.say("XQN0, see XQL1", "en", "ko") is None
    assert BOOK.say("Me llamo XQN0", "es", "ko") == "제 이름은 XQN0입니다."
    assert BOOK.say("제 이름은 XQN0 입니다", "ko", "en") == "My name is XQN0."


def test_what_it_knows() -> None:
    assert BOOK.knows("que tal", "es") and not BOOK.knows("que tal", "en")
    assert len(BOOK) == 4 and BOOK.languages() == {"en", "es", "fr", "ko"}


@pytest.mark.parametrize(
    ("text", "language", "plain"),
    [
        ("I'm — FINE!", "en", "i am fine"),
        ("¿Qué haces?", "es", "que haces"),
        ("j’ai", "fr", "j ai"),
        ("がぎ", "ja", "がぎ"),
        ("한국어", "ko", "한국어"),
        ("blz vc", "pt", "beleza voce"),
        ("a_b", "zz", "a b"),
    ],
)
def test_normalise(text: str, language: str, plain: str) -> None:
    assert normalise(text, language) == plain


def test_variants_are_different() -> None:
    assert variants("hellooo", "en") == ("hellooo", "helloo", "hello")
    assert variants("hi", "en") == ("hi",)


def test_the_shipped_book_says_every_phrase_in_every_language() -> None:
    book = read_phrasebook()
    languages = ("en", "es", "fr", "de", "pt", "it", "ko", "ja")
    assert len(book) >= 60 and book.languages() == set(languages)
    text = protect("My name is Rose, look at this: https://example.org", ["Rose"])
    for language in languages:
        said = book.say(text.text, "en", language)
        assert said is not None
        restored = text.restore(said)
        assert "Rose" in restored and "https://example.org" in restored


def test_a_broken_book_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "book.tsv"
    path.write_text("en\tes\nHi\tHola\nBye\n")
    with pytest.raises(ValueError, match="phrase 2 has 1 cells"):
        read_phrasebook(path)


def test_demo_lines_repeat_by_seed_and_are_not_in_the_book() -> None:
    book = read_phrasebook()
    assert demo_lines(7, 12) == demo_lines(7, 12) != demo_lines(8, 12)
    for english, spanish in demo_lines(1, 60):
        assert not book.knows(english, "en") and not book.knows(spanish, "es")
