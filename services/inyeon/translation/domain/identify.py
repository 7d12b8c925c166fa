"""Which language a text is in: script first, then words, then the two people's languages as prior.

An identifier gives log scores; this module turns them into a decision. Sources:
`../shared/facts/translation.md` 5
(pair prior, posterior per user, decisive scripts); the rest is Bayes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inyeon.translation.domain.languages import LANGUAGES, SCRIPTS, Script, count_scripts

PAIR_MASS = 0.98
"""Share of the prior that the two people's languages get together; the rest is shared by all
others, so that a third
language is still found where the evidence is strong."""
HABIT_WEIGHT = 0.5
"""What one earlier sentence of a person adds to the language's count, against one of each language
at the start.
"""


@dataclass(frozen=True, slots=True)
class Detected:
    """A language and its probability in [0, 1]; an empty language means that the text has none."""

    language: str
    confidence: float


@dataclass(slots=True)
class Habit:
    """Which languages one person has written in during a conversation. Owned by that person's
    conversation.
    """

    counts: dict[str, float] = field(default_factory=dict)

    def note(self, language: str) -> None:
        """One more sentence in this language."""
        self.counts[language] = self.counts.get(language, 0.0) + HABIT_WEIGHT

    def factor(self, language: str) -> float:
        """How much likelier the language is by habit; 1 with no history."""
        return 1.0 + self.counts.get(language, 0.0)


def decisive(text: str, candidates: Sequence[str]) -> str:
    """The language that letters alone decide, or empty.

    Hangul, kana, Thai and Devanagari have one language here; letters that Persian, Ukrainian or
    Russian have alone
    decide between neighbours; Han alone is Chinese unless only Japanese is among the candidates.
    """
    scripts = count_scripts(text)
    if not scripts:
        return ""
    for script, language in _ALONE.items():
        if scripts[script] * 3 >= scripts.total():
            return language
    top = scripts.most_common(1)[0][0]
    if top is Script.HAN:
        return "ja" if "ja" in candidates and "zh" not in candidates else "zh"
    return _by_letters(text, top)


def posterior(
    scores: Mapping[str, float], text: str, pair: Sequence[str], habit: Habit | None = None
) -> Detected:
    """Most probable language of `text`, given natural-log `scores` by language.

    `pair` are the languages that the author may use, or empty for all. Languages whose script the
    text does not have
    are out. Scores are tempered by the square root of the length in bytes, which keeps
    probabilities calibrated.
    """
    scripts = count_scripts(text)
    top_script = scripts.most_common(1)[0][0] if scripts else None
    open_to = [
        language
        for language in LANGUAGES
        if language in scores and (top_script is None or top_script in SCRIPTS[language])
    ]
    if not open_to:
        return Detected("", 0.0)
    temper = math.sqrt(max(1, len(text.encode())))
    logs = {
        language: scores[language] / temper + math.log(_prior(language, pair, habit))
        for language in open_to
    }
    top = max(logs, key=lambda language: logs[language])
    total = sum(math.exp(value - logs[top]) for value in logs.values())
    return Detected(top, 1.0 / total)


def _prior(language: str, pair: Sequence[str], habit: Habit | None) -> float:
    known = [known for known in pair if known in SCRIPTS]
    if not known:
        return 1.0 / len(LANGUAGES)
    inside = PAIR_MASS / len(known)
    outside = (1.0 - PAIR_MASS) / len(LANGUAGES)
    return (inside if language in known else outside) * (habit.factor(language) if habit else 1.0)


_ALONE = {
    Script.HANGUL: "ko",
    Script.KANA: "ja",
    Script.THAI: "th",
    Script.DEVANAGARI: "hi",
}
_LETTERS = {
    Script.ARABIC: (("fa", "پچژگکی"), ("ar", "ةىيكأإؤ")),
    Script.CYRILLIC: (("uk", "іїєґ"), ("ru", "ыэъё")),
    Script.LATIN: (("vi", "ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệịỉọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"),),
}


def _by_letters(text: str, script: Script) -> str:
    small = text.casefold()
    found = [
        language
        for language, letters in _LETTERS.get(script, ())
        if any(c in small for c in letters)
    ]
    return found[0] if len(found) == 1 else ""
