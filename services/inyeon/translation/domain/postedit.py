"""Small repairs of an engine's answer that need no dictionary."""

from __future__ import annotations

import re

_OPEN_ES = {"?": "¿", "!": "¡"}
_OPENING = re.compile(r"^[\W_]+")


def post_edit(answer: str, source: str, target: str, token: re.Pattern[str]) -> str:
    """Trims, starts like the source does, and opens Spanish questions and exclamations.

    An engine that takes a token at the start for its first word writes the second one large;
    `token` finds tokens.
    """
    text = re.sub(r"[ \t]{2,}", " ", answer).strip()
    text = re.sub(r"\s+([.,!?;:…])", r"\1", text)
    if _OPENING.sub("", source)[:1].isupper() and text[:1].islower():
        text = text[0].upper() + text[1:]
    text = _small_after_token(text, source, token)
    return _open_spanish(text) if target == "es" else text


def _small_after_token(text: str, source: str, token: re.Pattern[str]) -> str:
    here, there = token.match(text), token.match(source)
    if not here or not there or not source[there.end() :].lstrip()[:1].islower():
        return text
    rest = text[here.end() :]
    at = len(rest) - len(rest.lstrip())
    return text[: here.end()] + rest[:at] + rest[at : at + 1].lower() + rest[at + 1 :]


def _open_spanish(text: str) -> str:
    sign = _OPEN_ES.get(text[-1:])
    if sign is None or sign in text:
        return text
    return f"{sign}{text}"
