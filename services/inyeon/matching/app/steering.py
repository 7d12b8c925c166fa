"""Steer the waves of a pool: which version of the score the next one goes by.

Words and file are looked at once a second at most. Whatever cannot be read then, the last good
version goes on counting, and the pool says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import structlog

from inyeon.matching.app.score_ports import ScoreFiles, ScoreMeter, ScoreWords
from inyeon.matching.domain.courses import Course, Tried, course_of, tried
from inyeon.matching.domain.exploring import ExplorationRefused
from inyeon.matching.domain.score_models import Registry, ScoreModel, ScoreModelRefused
from inyeon.matching.domain.score_words import InForce, in_force
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable

LOOK_EVERY_S = 1.0
"""A word is in force everywhere within it: with the first wave after the look."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trying:
    """Exploration as the settings say it."""

    share: float = 0.0
    """Of the waves, 0 to 0.5; 0: none."""
    versions: tuple[str, ...] = ()
    """Which divide the share evenly."""


@dataclass(slots=True)
class Steer:
    """Of one pool. One event loop owns it."""

    words: ScoreWords
    files: ScoreFiles
    clock: Clock
    meter: ScoreMeter
    pool: str
    trying: Trying = Trying()
    state: InForce = field(default_factory=InForce)
    registry: Registry = field(default_factory=Registry)
    """The last one that could be read."""
    troubles: dict[str, str] = field(default_factory=dict)
    """By part (file, words, exploration): why it could not be read."""
    _tried: Tried | None = None
    _look_at: float = -math.inf

    def beside(self, pool: str) -> Steer:
        """Of another pool of the same replica."""
        meter = self.meter.for_pool(pool)
        return Steer(self.words, self.files, self.clock, meter, pool, self.trying)

    @property
    def usual(self) -> ScoreModel:
        """The version that counts outside experiments and exploration."""
        return self.state.model(self.registry.active)

    async def look(self) -> None:
        """Takes over what was said and written, at most once a second."""
        now = self.clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        await self._read_file()
        await self._read_words()
        self._try()
        self.meter.trouble(bool(self.troubles))

    def course(self, seed: int) -> Course:
        """Of the wave of that seed, now."""
        at_s = self.clock.now().timestamp()
        course = course_of(self.state, self.usual, self._tried, seed, at_s)
        self.meter.course(course)
        return course

    def look_again(self) -> None:
        """At the next look, without waiting for the second to pass."""
        self._look_at = -math.inf

    async def _read_file(self) -> None:
        try:
            self.registry = await self.files.registry()
            self._fine("file")
        except ScoreModelRefused as refused:
            self._trouble("file", str(refused))

    async def _read_words(self) -> None:
        try:
            self.state = in_force(await self.words.about(self.pool))
        except Unavailable as error:
            return self._trouble("words", str(error))
        if self.state.unreadable:
            return self._trouble("words", self.state.unreadable)
        return self._fine("words")

    def _try(self) -> None:
        try:
            models = [self.registry.model(version) for version in self.trying.versions]
            self._tried = tried(self.pool, self.usual, models, self.trying.share)
            self._fine("exploration")
        except (ScoreModelRefused, ExplorationRefused) as refused:
            self._tried = None
            self._trouble("exploration", str(refused))

    def _trouble(self, part: str, why: str) -> None:
        if self.troubles.get(part) != why:
            _log.error(
                "score.trouble", pool=self.pool, part=part, why=why, counts=self.usual.version
            )
        self.troubles[part] = why

    def _fine(self, part: str) -> None:
        if self.troubles.pop(part, None) is not None:
            _log.info("score.trouble_over", pool=self.pool, part=part)
