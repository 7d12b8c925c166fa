"""Seams to what decides about scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.score_models import Registry
from inyeon.matching.domain.score_words import InForce, Word
from inyeon.matching.domain.tallies import Tally


class ScoreWords(Protocol):
    """Where words are kept, durable and the same for every replica. Every method is one transaction
    and may raise StoreUnavailable."""

    async def about(self, pool: str) -> tuple[Word, ...]:
        """The newest 256 about that pool or about all pools, in order."""
        ...

    async def say(self, word: Word) -> InForce:
        """Keeps a word as the newest one and returns what is now in force. Two at the same time
        come one after the other. Raises WordRefused where it makes no sense now."""
        ...


class ScoreTallies(Protocol):
    """What the windows of experiments showed. Every method is one transaction and may raise
    StoreUnavailable."""

    async def add(self, experiment: int, pool: str, tallies: Mapping[int, Tally]) -> None:
        """Adds to what is known of these windows. `experiment`: number of its first word."""
        ...

    async def of(self, experiment: int, pool: str) -> dict[int, Tally]:
        """By window; none for a window to which nobody came."""
        ...


class ScoreFiles(Protocol):
    """Where versions come from."""

    async def registry(self) -> Registry:
        """As it is now, looked at again at every call. Raises ScoreModelRefused where it cannot be
        read."""
        ...


class ScoreMeter(Protocol):
    """What operators see of scores."""

    def for_pool(self, pool: str) -> ScoreMeter:
        """The same for another pool."""
        ...

    def course(self, course: Course) -> None:
        """What the pool's waves go by now."""
        ...

    def trouble(self, there_is: bool) -> None:
        """A version, the file or a word could not be read; the last good one counts."""
        ...
