"""Whether an engine's answer may be shown. Reference-free: it only compares answer and source.

The faults are those that people complain about in other translators: loops, copies, wrong script,
lost numbers, marks
left over (facts, sections 2 and 9).
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum
from itertools import groupby

from inyeon.translation.domain.languages import SCRIPTS, Script, count_scripts
from inyeon.translation.domain.protection import Protected


class Fault(Enum):
    """Why an answer is refused."""

    EMPTY = "empty"
    TOKENS = "tokens"
    LENGTH = "length"
    REPETITION = "repetition"
    SCRIPT = "script"
    COPY = "copy"
    MARKS = "marks"
    NUMBERS = "numbers"


# Characters needed for the same content, against English: own counts over the Tatoeba pairs.
_WIDTH = {Script.HAN: 0.35, Script.KANA: 0.5, Script.HANGUL: 0.5, Script.THAI: 0.9}
_SHORT = 8  # below this a ratio says nothing: "Hi" is "Buenos días"
_LOW, _HIGH = 0.33, 3.0
_LOOP = 4  # "no no no" is said by people; four equal words that the source does not have are a loop
_MARK = re.compile(r"[*#@\\^$~]")
_COPY_WORDS = 3  # "Hotel" is the same in both languages, three words are not


def examine(
    source: Protected, answer: str, source_language: str, target_language: str
) -> Fault | None:
    """First fault of `answer` (with tokens) as translation of `source`; None if it may be shown."""
    bare = source.pattern.sub("", answer)
    original = source.pattern.sub("", source.text)
    if not answer.strip():
        return Fault.EMPTY
    if Counter(m[0] for m in source.pattern.finditer(answer)) != Counter(source.tokens):
        return Fault.TOKENS
    if _numbers(bare) != _numbers(original):
        return Fault.NUMBERS
    if Counter(_MARK.findall(bare)) - Counter(_MARK.findall(original)):
        return Fault.MARKS
    return _examine_words(original, bare, source_language, target_language)


def _examine_words(original: str, bare: str, source: str, target: str) -> Fault | None:
    if not any(c.isalnum() for c in bare) and any(c.isalnum() for c in original):
        return Fault.EMPTY
    if not _length_fits(original, bare, source, target):
        return Fault.LENGTH
    if _longest_run(bare) >= max(_LOOP, _longest_run(original) + 1):
        return Fault.REPETITION
    if not _script_fits(bare, target):
        return Fault.SCRIPT
    return Fault.COPY if source != target and _copied(original, bare) else None


def _numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+", text))


def _length_fits(original: str, bare: str, source: str, target: str) -> bool:
    expected = len(original.strip()) * _width(target) / _width(source)
    got = len(bare.strip())
    if expected < _SHORT:
        return got <= _SHORT * 2 * _HIGH
    return _LOW * expected <= got <= _HIGH * expected


def _width(language: str) -> float:
    return min((_WIDTH.get(script, 1.0) for script in SCRIPTS.get(language, ())), default=1.0)


def _longest_run(text: str) -> int:
    """Longest run of one word, or of one group of up to three words."""
    words = text.casefold().split()
    longest = 0
    for size in (1, 2, 3):
        for offset in range(size):
            groups = [
                tuple(words[i : i + size]) for i in range(offset, len(words) - size + 1, size)
            ]
            longest = max([longest, *(len(list(run)) for _, run in groupby(groups))])
    return longest


def _script_fits(bare: str, target: str) -> bool:
    """At least half of the letters are of a script of the target: foreign words may stay, sentences
    not.
    """
    scripts = count_scripts(bare)
    own = sum(scripts[script] for script in SCRIPTS.get(target, frozenset(Script)))
    return own * 2 >= scripts.total()


def _copied(original: str, bare: str) -> bool:
    words = re.findall(r"\w+", original.casefold())
    return len(words) >= _COPY_WORDS and words == re.findall(r"\w+", bare.casefold())
