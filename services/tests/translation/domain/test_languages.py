"""Codes, scripts, and what needs no translation."""

# ruff: noqa: RUF001 - letters of other scripts are what is tested

from __future__ import annotations

import pytest

from inyeon.translation.domain.languages import (
    LANGUAGES,
    Script,
    count_scripts,
    script_of,
    two_letters,
)
from inyeon.translation.domain.nothing import has_no_language
from inyeon.translation.domain.protection import protect

pytestmark = pytest.mark.unit


def test_there_are_nineteen() -> None:
    assert " ".join(sorted(LANGUAGES)) == "ar de en es fa fr hi id it ja ko pl pt ru th tr uk vi zh"


@pytest.mark.parametrize(
    ("code", "short"), [("eng", "en"), ("es", "es"), ("kor", "ko"), ("nld", ""), ("", "")]
)
def test_codes(code: str, short: str) -> None:
    assert two_letters(code) == short


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", Script.LATIN), ("ế", Script.LATIN), ("Ａ", Script.LATIN), ("ж", Script.CYRILLIC),
        ("ي", Script.ARABIC), ("ﷲ", Script.ARABIC), ("ह", Script.DEVANAGARI), ("ก", Script.THAI),
        ("한", Script.HANGUL), ("ㅋ", Script.HANGUL), ("か", Script.KANA), ("ｶ", Script.KANA),
        ("漢", Script.HAN), ("𠮷", Script.HAN), ("ω", Script.OTHER), ("ש", Script.OTHER),
    ],
)  # fmt: skip
def test_scripts(letter: str, script: Script) -> None:
    assert script_of(letter) is script


def test_only_letters_count() -> None:
    assert count_scripts("a1! é한") == {Script.LATIN: 2, Script.HANGUL: 1}


@pytest.mark.parametrize(
    "text",
    [
        "😀😀", "haha", "hahahaha!!", "jajaja", "jejeje", "kkkkk", "rsrsrs",
        "ㅋㅋㅋ", "ㅎㅎ", "www",
        "哈哈哈", "хаха", "ахаха", "ههههه", "lol", "LMAO", "xD", "12:30", "ok", "Okay!",
        "wow", "hmm...", "https://example.org", "@rose", "Rose!", "", " \n", "?!", "wkwkwk",
        "笑", "555",
    ],
)  # fmt: skip
def test_what_has_no_language(text: str) -> None:
    assert has_no_language(protect(text, ["Rose"]))


@pytest.mark.parametrize(
    "text", ["no", "hi", "haha yes", "안녕", "はい", "wow really?", "Rose, come", "ok then", "ja"]
)
def test_what_has_one(text: str) -> None:
    assert not has_no_language(protect(text, ["Rose"]))
