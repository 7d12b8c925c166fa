"""Apertium's stream format: what must be escaped, and what its marks mean."""

from __future__ import annotations

import re

SENTINEL = ".[]"
"""Ends a request: the stop forces a sentence end, the empty superblank forces output (facts, recipe
2).
"""

_ESCAPE = re.compile(r"([\[\]{}^$@\\/<>])")
_UNESCAPE = re.compile(r"\\([\[\]{}^$@\\/<>])")
_UNKNOWN = re.compile(r"(?<![\w*])\*(?=[^\W_])")
_FAILED = re.compile(r"(?<!\w)#(?=[^\W_])")
_WORD = re.compile(r"[^\W\d_]+")


def encode(text: str) -> bytes:
    """One request, with its closing NUL. Control characters, framing here, become blanks."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    escaped = _ESCAPE.sub(r"\\\1", plain.replace("~", " "))
    return f"{escaped}{SENTINEL}\0".encode()


def decode(reply: bytes) -> str | None:
    """The text of one reply, with marks; None where it is truncated or not UTF-8."""
    try:
        text = reply.removesuffix(b"\0").decode()
    except UnicodeDecodeError:
        return None
    if not reply.endswith(b"\0") or not text.endswith(SENTINEL):
        return None
    return _UNESCAPE.sub(r"\1", text.removesuffix(SENTINEL))


def clear_marks(text: str) -> tuple[str, int, int]:
    """(text without marks, unknown words, words that could not be inflected).

    `*word` was not found and stands as in the source; `#word` was found, but stands in its
    dictionary form.
    """
    unknown, failed = len(_UNKNOWN.findall(text)), len(_FAILED.findall(text))
    return _FAILED.sub("", _UNKNOWN.sub("", text)), unknown, failed


def count_words(text: str) -> int:
    """Words of letters only."""
    return len(_WORD.findall(text))
