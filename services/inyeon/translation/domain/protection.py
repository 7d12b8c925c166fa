"""Names, links, numbers and emoji are taken out before an engine sees a sentence, and put back
after.

Each becomes a token such as `XQN0`: engines take it for an unknown noun and carry it along. What
comes back counts
only if every token is there exactly once.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from inyeon.translation.domain.languages import Script, script_of


class Kind(Enum):
    """What a token stands for; the value is its letter."""

    NAME = "N"
    LINK = "L"
    NUMBER = "M"
    EMOJI = "E"


class TokenLost(ValueError):
    """An engine dropped, repeated or invented a token; its answer cannot be used."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A text with tokens, and what they stand for: token number i is `items[i]`."""

    text: str
    prefix: str
    items: tuple[tuple[Kind, str], ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens in their order in the text."""
        return tuple(f"{self.prefix}{kind.value}{i}" for i, (kind, _) in enumerate(self.items))

    def restore(self, text: str) -> str:
        """Puts everything back. Raises TokenLost unless each token is there exactly once and none
        is new.
        """
        if Counter(m[0] for m in self.pattern.finditer(text)) != Counter(self.tokens):
            raise TokenLost("tokens came back changed")
        return self.pattern.sub(lambda m: self.items[int(m[2])][1], text)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds tokens of this text."""
        return token_pattern(self.prefix)

    def sentence(self, text: str) -> Protected:
        """The part of this text that `text` is, with its own tokens numbered from 0: what an engine
        and the cache see.
        """
        found = [int(m[2]) for m in self.pattern.finditer(text)]
        fresh = {old: new for new, old in enumerate(found)}
        renamed = self.pattern.sub(lambda m: f"{self.prefix}{m[1]}{fresh[int(m[2])]}", text)
        return Protected(renamed, self.prefix, tuple(self.items[i] for i in found))


def token_pattern(prefix: str) -> re.Pattern[str]:
    """Finds tokens with this prefix; group 1 is the kind's letter, group 2 the number."""
    return re.compile(rf"{prefix}([NLME])(\d+)")


# Tried in turn until one does not occur in the text, so that a person can write about tokens too.
_PREFIXES = ("XQ", "ZXQ", "QXJ", "XJQZ", "QZXQ", "JXZQ")

_LINK = r"(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]}…]"
_MAIL = r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63}){1,4}"
_DOMAIN = (
    r"\b[a-z0-9-]{2,63}(?:\.[a-z0-9-]{2,63})*\.(?:com|net|org|io|me|tv|gg|app|dev|co)\b"
    r"(?:/[^\s]*[^\s.,;:!?)])?"
)
_MENTION = r"(?<!\w)@\w[\w.-]{0,62}\w|(?<!\w)@\w"
_HASHTAG = r"(?<!\w)#\w{1,64}"
_PHONE = r"(?<!\w)\+?\(?\d{1,4}\)?(?:[ .-]?\(?\d{2,4}\)?){2,5}(?!\w)"
# Only what engines rewrite: decimals, groups, times, dates, money. A bare integer stays, for
# agreement.
_NUMBER = (
    r"[$€£¥₩]\s?\d+(?:[.,:]\d+)*|\d+(?:[.,]\d+)*\s?[%€$£¥₩]"
    r"|(?<!\w)\d+(?:[.,:/-]\d+)+(?!\w)|\d{5,}"
)
_PICTURE = (
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935"
    r"\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_MODIFIER = r"(?:[\ufe0e\ufe0f\u20e3]|[\U0001f3fb-\U0001f3ff]|[\U000e0020-\U000e007f])"
_EMOJI_ONE = rf"(?:[0-9#*]\ufe0f?\u20e3|{_PICTURE}{_MODIFIER}*(?:\u200d{_PICTURE}{_MODIFIER}*)*)"
_EMOTICON = (
    r"(?<![\w:;])(?:[:;=8][-^o']?[)(DPpOo/\\|3]|<3|xD|XD|\^_+\^|T_T|ㅠ[ㅠㅜ]*|ㅜ[ㅠㅜ]*)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    kind: Kind


def protect(text: str, names: Sequence[str] = ()) -> Protected:
    """Replaces what must arrive as it is. `names` are shown names of both people, each at most 64
    characters.

    Neighbouring emoji become one token. A token is set off by blanks from letters and digits beside
    it.
    """
    prefix = next((p for p in _PREFIXES if p not in text), "")
    if not prefix:
        return Protected(text, _PREFIXES[0] + "QQ", ())
    spans = _merge_emoji(_without_overlap(_find(text, names)), text)
    pieces: list[str] = []
    at = 0
    for number, span in enumerate(spans):
        pieces += [_pad(text, span.start - 1, text[at : span.start], before=True)]
        pieces += [f"{prefix}{span.kind.value}{number}"]
        pieces += [" " if _sticks(text, span.end) else ""]
        at = span.end
    items = tuple((span.kind, text[span.start : span.end]) for span in spans)
    return Protected("".join(pieces) + text[at:], prefix, items)


def _pad(text: str, beside: int, piece: str, *, before: bool) -> str:
    return f"{piece} " if before and piece and _sticks(text, beside) else piece


def _sticks(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


def _find(text: str, names: Sequence[str]) -> Iterable[_Span]:
    """Spans by rank: what comes first wins where two overlap."""
    for pattern, kind in _PATTERNS:
        yield from (_Span(m.start(), m.end(), kind) for m in pattern.finditer(text))
        if kind is Kind.LINK:
            yield from _find_names(text, names)


_PATTERNS = [
    (re.compile(f"{_MAIL}|{_LINK}|{_DOMAIN}", re.IGNORECASE), Kind.LINK),
    (re.compile(f"{_MENTION}|{_HASHTAG}"), Kind.NAME),
    (re.compile(f"{_PHONE}|{_NUMBER}"), Kind.NUMBER),
    (re.compile(f"{_EMOJI_ONE}|{_EMOTICON}"), Kind.EMOJI),
]


def _find_names(text: str, names: Sequence[str]) -> Iterable[_Span]:
    for form in _forms(names):
        start = text.find(form)
        while start >= 0:
            if _stands_alone(text, start, start + len(form)):
                yield _Span(start, start + len(form), Kind.NAME)
            start = text.find(form, start + 1)


def _forms(names: Sequence[str]) -> list[str]:
    """Whole names and their parts, as written, capitalised and in capitals; the longest first.

    A name in small letters is left to the engine unless its owner writes it so: `rose` is a flower,
    `Rose` a person.
    """
    wholes = [unicodedata.normalize("NFC", name).strip() for name in names]
    parts = [part for whole in wholes for part in (whole, *whole.split())]
    known = [part for part in parts if len(part) >= 2 and any(c.isalpha() for c in part)]
    forms = {form for part in known for form in (part, part.title(), part.upper())}
    return sorted(forms, key=lambda form: (-len(form), form))


# Korean sets these right behind a name.
_PARTICLES = re.compile(
    r"(?:은|는|이|가|을|를|아|야|씨|님|의|에|에게|한테|와|과|랑|이랑|도|만|입니다|이야|예요|이에요)(?![가-힣])"
)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = start == 0 or not _joined(text[start - 1], text[start])
    after = end == len(text) or not _joined(text[end - 1], text[end])
    return before and (after or _PARTICLES.match(text, end) is not None)


def _joined(left: str, right: str) -> bool:
    """The two characters belong to one word. Han and kana have no words by blanks."""
    if not (left.isalnum() and right.isalnum()):
        return "_" in (left, right) and left != " " and right != " "
    return script_of(left) is script_of(right) and script_of(left) not in _NO_BLANKS


_NO_BLANKS = (Script.HAN, Script.KANA, Script.THAI)


def _without_overlap(spans: Iterable[_Span]) -> list[_Span]:
    kept: list[_Span] = []
    for span in spans:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def _merge_emoji(spans: list[_Span], text: str) -> list[_Span]:
    merged: list[_Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if (
            last
            and last.kind is span.kind is Kind.EMOJI
            and not text[last.end : span.start].strip()
        ):
            merged[-1] = _Span(last.start, span.end, Kind.EMOJI)
        else:
            merged.append(span)
    return merged
