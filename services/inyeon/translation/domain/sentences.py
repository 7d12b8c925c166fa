"""Cuts a text into sentences and keeps what stood between them."""

# ruff: noqa: RUF001 - letters of other scripts are what this module is about

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_SENTENCE = 400
"""Characters that one engine call sees at most. 400 characters are about 70 words: Apertium takes
10 ms for them.
"""

# A sentence ends at .!?… (with closing quotes) before a blank, at CJK stops anywhere, and at a
# line's end.
_END = re.compile(r"(?<=[.!?…])[\"'»”)\]]*\s+|(?<=[。！？])\s*|\s*\n\s*")
# "Mr. Kim" is one sentence.
_SHORT = re.compile(r"\b(?:mr|mrs|ms|dr|st|sr|sra|srta|vs|etc|[a-z])\.$", re.IGNORECASE)
_SOFT = re.compile(r"[,;:、，]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and the blanks behind it."""

    text: str
    gap: str


def split(text: str) -> list[Sentence]:
    """Sentences in order; joining text and gap of all gives the input back, less blanks at its
    start.
    """
    lead = len(text) - len(text.lstrip())
    sentences: list[Sentence] = []
    start = lead
    for match in _END.finditer(text, lead):
        if match.end() == match.start() and match.end() == len(text):
            continue
        if _SHORT.search(text[start : match.start()]) and "\n" not in match[0]:
            continue
        cut = match.start() + len(match[0].rstrip()) if match[0].strip() else match.start()
        sentences += _bounded(text[start:cut], text[cut : match.end()])
        start = match.end()
    sentences += _bounded(text[start:].rstrip(), text[len(text.rstrip()) :]) if text[start:] else []
    return [s for s in sentences if s.text or s.gap]


def _bounded(text: str, gap: str) -> list[Sentence]:
    """Cuts what is too long at the last soft place before the limit, else at the limit."""
    pieces: list[Sentence] = []
    while len(text) > MAX_SENTENCE:
        soft = [m for m in _SOFT.finditer(text, 0, MAX_SENTENCE) if m.end() > MAX_SENTENCE // 2]
        cut = soft[-1].end() if soft else MAX_SENTENCE
        head = text[:cut]
        pieces.append(Sentence(head.rstrip(), head[len(head.rstrip()) :]))
        text = text[cut:]
    return [*pieces, Sentence(text, gap)]
