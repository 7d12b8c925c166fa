"""A text's way from one language to another: language, protection, phrasebook, engines, gate,
restoration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.runtime.clock import Clock
from inyeon.translation.app.ports import Identifier, Observer
from inyeon.translation.app.tiers import Tiers
from inyeon.translation.domain import identify
from inyeon.translation.domain.answers import Tier, Translation
from inyeon.translation.domain.identify import Detected, Habit
from inyeon.translation.domain.nothing import has_no_language
from inyeon.translation.domain.phrases import Phrasebook
from inyeon.translation.domain.protection import Protected, TokenLost, protect
from inyeon.translation.domain.sentences import split

PHRASE_QUALITY = 0.95  # written by people, but without the context
CERTAIN = Detected("", 1.0)


@dataclass(frozen=True, slots=True)
class Task:
    """One text to translate for one reader."""

    text: str
    understood: Sequence[str]
    """Languages of the reader, best first, not empty; the first one is the target."""
    source: str = ""
    """The language where the caller knows it, else empty."""
    spoken: Sequence[str] = ()
    """Languages that the author may use, or empty for any."""
    names: Sequence[str] = ()
    """Shown names of both people."""
    habit: Habit | None = None
    deadline_s: float = 1.0


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    tier: Tier
    quality: float
    weight: int


class Translator:
    """Never fails and never answers with nothing: where no tier helps, the original comes back,
    marked.
    """

    def __init__(
        self,
        phrasebook: Phrasebook,
        tiers: Tiers,
        identifier: Identifier,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._phrasebook = phrasebook
        self._tiers = tiers
        self._identifier = identifier
        self._clock = clock
        self._observer = observer

    async def translate(self, task: Task) -> Translation:
        """What the reader is shown for this text."""
        started = self._clock.monotonic()
        result = await self._translate(task, started + task.deadline_s)
        kind = "untranslated" if result.untranslated else result.tier.name.lower()
        pair = f"{result.source}-{result.target}"
        self._observer.answered(kind, pair, self._clock.monotonic() - started)
        return result

    def detect(
        self,
        text: str,
        candidates: Sequence[str] = (),
        names: Sequence[str] = (),
        habit: Habit | None = None,
    ) -> Detected:
        """The language of a text: letters first, then the phrasebook, then the identifier with its
        prior.
        """
        protected = protect(text, names)
        if has_no_language(protected):
            return CERTAIN
        words = protected.pattern.sub(" ", protected.text)
        if language := identify.decisive(words, candidates):
            return Detected(language, 1.0)
        known = [c for c in candidates if self._phrasebook.knows(protected.text, c)]
        if len(known) == 1:
            return Detected(known[0], PHRASE_QUALITY)
        return identify.posterior(self._identifier.scores(words), words, candidates, habit)

    def source_of(self, task: Task) -> str:
        """Language of the task's text by its author's and reader's languages; empty for none."""
        pair = tuple(dict.fromkeys((*task.spoken, *(task.understood if task.spoken else ()))))
        return self.detect(task.text, pair, task.names, task.habit).language

    async def _translate(self, task: Task, until: float) -> Translation:
        target = task.understood[0]
        protected = protect(task.text, task.names)
        if has_no_language(protected):
            return Translation(task.text, "", target, Tier.NONE, 1.0)
        source = task.source or self.source_of(task)
        if source in task.understood:
            return Translation(task.text, source, source, Tier.NONE, 1.0)
        pieces = await self._pieces(protected, source, target, until)
        if pieces is None:
            return Translation(task.text, source, target, Tier.NONE, 0.0, untranslated=True)
        return _joined(pieces, source, target)

    async def _pieces(
        self, protected: Protected, source: str, target: str, until: float
    ) -> list[_Piece] | None:
        lead = protected.text[: len(protected.text) - len(protected.text.lstrip())]
        pieces = [_Piece(lead, Tier.NONE, 1.0, 0)]
        for sentence in split(protected.text):
            piece = await self._piece(protected.sentence(sentence.text), source, target, until)
            if piece is None:
                return None
            pieces += [piece, _Piece(sentence.gap, Tier.NONE, 1.0, 0)]
        return pieces

    async def _piece(
        self, part: Protected, source: str, target: str, until: float
    ) -> _Piece | None:
        weight = len(part.text)
        if has_no_language(part):
            return _Piece(part.restore(part.text), Tier.NONE, 1.0, 0)
        said = self._phrasebook.say(part.text, source, target)
        if said is not None and (whole := _restored(part, said)) is not None:
            return _Piece(whole, Tier.PHRASEBOOK, PHRASE_QUALITY, weight)
        left_s = until - self._clock.monotonic()
        found = await self._tiers.translate(part, source, target, left_s)
        if found is None or (whole := _restored(part, found[0].text)) is None:
            return None
        return _Piece(whole, found[1], found[0].quality, weight)


def _restored(part: Protected, text: str) -> str | None:
    try:
        return part.restore(text)
    except TokenLost:
        return None


def _joined(pieces: Sequence[_Piece], source: str, target: str) -> Translation:
    total = sum(piece.weight for piece in pieces) or 1
    quality = sum(piece.quality * piece.weight for piece in pieces) / total
    tier = max((piece.tier for piece in pieces), key=lambda tier: tier.value)
    return Translation("".join(piece.text for piece in pieces), source, target, tier, quality)
