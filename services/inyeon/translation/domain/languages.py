"""The 19 languages, their codes and the scripts that they are written in."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from enum import Enum


class Script(Enum):
    """Writing systems that tell languages apart."""

    LATIN = "latin"
    CYRILLIC = "cyrillic"
    ARABIC = "arabic"
    DEVANAGARI = "devanagari"
    THAI = "thai"
    HANGUL = "hangul"
    KANA = "kana"
    HAN = "han"
    OTHER = "other"


SCRIPTS: dict[str, frozenset[Script]] = {
    "ar": frozenset({Script.ARABIC}),
    "de": frozenset({Script.LATIN}),
    "en": frozenset({Script.LATIN}),
    "es": frozenset({Script.LATIN}),
    "fa": frozenset({Script.ARABIC}),
    "fr": frozenset({Script.LATIN}),
    "hi": frozenset({Script.DEVANAGARI}),
    "id": frozenset({Script.LATIN}),
    "it": frozenset({Script.LATIN}),
    "ja": frozenset({Script.KANA, Script.HAN}),
    "ko": frozenset({Script.HANGUL}),
    "pl": frozenset({Script.LATIN}),
    "pt": frozenset({Script.LATIN}),
    "ru": frozenset({Script.CYRILLIC}),
    "th": frozenset({Script.THAI}),
    "tr": frozenset({Script.LATIN}),
    "uk": frozenset({Script.CYRILLIC}),
    "vi": frozenset({Script.LATIN}),
    "zh": frozenset({Script.HAN}),
}
"""Scripts of each language, by BCP 47 primary tag."""

LANGUAGES = tuple(SCRIPTS)
"""The 19 languages of ARCHITECTURE.md."""

# ISO 639-3 and 639-2/T codes, as mode files and corpora name them.
_THREE = {
    "ara": "ar", "deu": "de", "eng": "en", "spa": "es", "fas": "fa", "fra": "fr", "hin": "hi",
    "ind": "id", "ita": "it", "jpn": "ja", "kor": "ko", "pol": "pl", "por": "pt", "rus": "ru",
    "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip

# First code point of each block and the script from there on; OTHER closes a range.
_BLOCKS = [
    (0x0000, Script.LATIN), (0x0370, Script.OTHER), (0x0400, Script.CYRILLIC),
    (0x0530, Script.OTHER), (0x0600, Script.ARABIC), (0x0700, Script.OTHER),
    (0x0750, Script.ARABIC), (0x0780, Script.OTHER), (0x08A0, Script.ARABIC),
    (0x0900, Script.DEVANAGARI), (0x0980, Script.OTHER), (0x0E00, Script.THAI),
    (0x0E80, Script.OTHER), (0x1100, Script.HANGUL), (0x1200, Script.OTHER),
    (0x1E00, Script.LATIN), (0x1F00, Script.OTHER), (0x3040, Script.KANA),
    (0x3100, Script.OTHER), (0x3130, Script.HANGUL), (0x3190, Script.OTHER),
    (0x31F0, Script.KANA), (0x3200, Script.OTHER), (0x3400, Script.HAN),
    (0x4DC0, Script.OTHER), (0x4E00, Script.HAN), (0xA000, Script.OTHER),
    (0xAC00, Script.HANGUL), (0xD7B0, Script.OTHER), (0xF900, Script.HAN),
    (0xFB00, Script.LATIN), (0xFB07, Script.OTHER), (0xFB50, Script.ARABIC),
    (0xFE00, Script.OTHER), (0xFE70, Script.ARABIC), (0xFF00, Script.LATIN),
    (0xFF66, Script.KANA), (0xFFA0, Script.OTHER), (0x20000, Script.HAN),
    (0x32000, Script.OTHER),
]  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]


def two_letters(code: str) -> str:
    """Primary tag of a two- or three-letter code; empty where it is none of the 19."""
    short = _THREE.get(code, code)
    return short if short in SCRIPTS else ""


def script_of(character: str) -> Script:
    """Script of one letter, by Unicode block; OTHER for what no language here uses."""
    return _BLOCKS[bisect_right(_STARTS, ord(character)) - 1][1]


def count_scripts(text: str) -> Counter[Script]:
    """How many letters of each script the text has; marks, digits and signs do not count."""
    return Counter(script_of(character) for character in text if character.isalpha())
