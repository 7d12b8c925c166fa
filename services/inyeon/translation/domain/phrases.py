"""The phrasebook: what people say again and again, translated by people.

A phrase may have the slots `{name}` and `{link}`. Each is filled by a token of that kind; `{name}`
also by one or two
capitalised words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inyeon.translation.domain.normalising import variants

Row = Mapping[str, Sequence[str]]
"""One meaning: language -> ways to say it; the first one is how it is said in an answer."""

LONGEST = 160
"""Characters; no phrase with its names and links as tokens is as long."""

_SLOT = re.compile(r"\{(name|link)\}")
_NAME_WORDS = r"[^\W\d_a-z][^\W\d_]+(?:[ -][^\W\d_a-z][^\W\d_]+)?"
_EDGE_EMOJI = re.compile(
    r"^((?:\s*[A-Z]{2,4}E\d+)*\s*)(.*?)((?:\s*[A-Z]{2,4}E\d+)*\s*)$", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class _Slotted:
    pattern: re.Pattern[str]
    row: int


class Phrasebook:
    """Finds a phrase in one language and says it in another. Immutable after it is built."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._exact: dict[tuple[str, str], int] = {}
        self._slotted: dict[str, list[_Slotted]] = {}
        for number, row in enumerate(rows):
            for language, ways in row.items():
                for way in ways:
                    self._add(number, language, way)

    def __len__(self) -> int:
        return len(self._rows)

    def languages(self) -> frozenset[str]:
        """Languages that at least one phrase has."""
        return frozenset(language for row in self._rows for language in row)

    def say(self, text: str, source: str, target: str) -> str | None:
        """The phrase in `target`, with tokens of `text` in their places; None where the book does
        not have it.

        Emoji before and after a phrase stay where they are.
        """
        if len(text) > LONGEST:
            return None
        lead, body, trail = _split_emoji(text)
        said = self._exactly(body, source, target) or self._with_slots(body, source, target)
        return None if said is None else f"{lead}{said}{trail}"

    def knows(self, text: str, language: str) -> bool:
        """The text is a phrase of this language."""
        return self.say(text, language, language) is not None

    def _add(self, number: int, language: str, way: str) -> None:
        if _SLOT.search(way):
            slotted = self._slotted.setdefault(language, [])
            slotted.append(_Slotted(_pattern(way), number))
        for key in variants(way, language) if not _SLOT.search(way) else ():
            self._exact.setdefault((language, key), number)

    def _exactly(self, body: str, source: str, target: str) -> str | None:
        for key in variants(body, source):
            row = self._exact.get((source, key))
            if row is not None and target in self._rows[row]:
                return self._rows[row][target][0]
        return None

    def _with_slots(self, body: str, source: str, target: str) -> str | None:
        for slotted in self._slotted.get(source, ()):
            match = slotted.pattern.fullmatch(body.strip())
            if match and target in self._rows[slotted.row]:
                return _fill(self._rows[slotted.row][target][0], match)
        return None


def _split_emoji(text: str) -> tuple[str, str, str]:
    match = _EDGE_EMOJI.match(text)
    return (match[1], match[2], match[3]) if match else ("", text, "")


def _fill(way: str, match: re.Match[str]) -> str:
    return _SLOT.sub(lambda slot: match[slot[1]], way)


def _pattern(way: str) -> re.Pattern[str]:
    """Matches the phrase with any punctuation and blanks between its words, in any case."""
    parts = _SLOT.split(way)
    out = []
    for i, part in enumerate(parts):
        out.append(_slot_pattern(part) if i % 2 else _words_pattern(part))
    return re.compile(r"[\W_]*" + r"[\W_]*".join(p for p in out if p) + r"[\W_]*")


def _slot_pattern(kind: str) -> str:
    token = rf"[A-Z]{{2,4}}{'N' if kind == 'name' else 'L'}\d+"
    return f"(?P<{kind}>{token}|{_NAME_WORDS})" if kind == "name" else f"(?P<{kind}>{token})"


def _words_pattern(part: str) -> str:
    words = re.findall(r"[^\W_]+", part)
    joined = r"[\W_]+".join(re.escape(word) for word in words)
    return f"(?i:{joined})" if words else ""
