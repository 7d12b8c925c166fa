"""Operators list, activate and take back versions of the score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from inyeon.matching.app.floor import Floor
from inyeon.matching.app.score_ports import ScoreFiles, ScoreWords
from inyeon.matching.app.switching import require_operator
from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.score_models import Registry, ScoreModel, ScoreModelRefused
from inyeon.matching.domain.score_words import InForce, Verb, Word, WordRefused, in_force
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest, NotFound, PreconditionFailed

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PoolScores:
    """What is in force in a pool, and what was said."""

    pool: str
    usual: ScoreModel
    state: InForce
    words: tuple[Word, ...]
    """The newest last."""


class Scores:
    """What operators may say of scores. Every method raises NotAllowed (ROLE_MISSING) and
    StoreUnavailable."""

    def __init__(self, words: ScoreWords, files: ScoreFiles, floor: Floor, clock: Clock) -> None:
        self._words, self._files, self._floor, self._clock = words, files, floor, clock
        self._known = Registry()

    async def registry(self, roles: frozenset[str]) -> tuple[Registry, str]:
        """The last one that could be read, and why it cannot be now; empty: it can."""
        require_operator(roles)
        try:
            self._known = await self._files.registry()
        except ScoreModelRefused as refused:
            return self._known, str(refused)
        return self._known, ""

    async def pools(self, roles: frozenset[str]) -> list[PoolScores]:
        """Of every pool that this replica owns or stands by for."""
        registry, _ = await self.registry(roles)
        return [await self._pool(pool, registry) for pool in self._floor.desks]

    async def activate(
        self, roles: frozenset[str], operator: str, pool: str, version: str, note: str
    ) -> str:
        """Makes a version count; returns it. Durable when it returns.

        Raises NotFound (POOL_UNKNOWN), InvalidRequest (UNKNOWN_VERSION), PreconditionFailed
        (EXPERIMENT_RUNS; FILE, SHAPE, DIGEST and others where the registry cannot be read)."""
        self.allow(roles, pool)
        model = await self.model(version, "version")
        word = self._word(Verb.ACTIVATE, operator, pool, note, model)
        return self.counts(await self.say(word)).version

    async def roll_back(self, roles: frozenset[str], operator: str, pool: str, note: str) -> str:
        """Makes the version before count again; returns it. Needs no file. Ends an experiment.

        Raises NotFound (POOL_UNKNOWN), PreconditionFailed (NOTHING_BEFORE)."""
        self.allow(roles, pool)
        word = self._word(Verb.ROLL_BACK, operator, pool, note)
        return self.counts(await self.say(word)).version

    async def model(self, version: str, field: str) -> ScoreModel:
        """That version as the registry has it now. Raises InvalidRequest (UNKNOWN_VERSION, with
        `field`), PreconditionFailed where the registry cannot be read."""
        with _not_now():
            self._known = await self._files.registry()
        try:
            return self._known.model(version)
        except ScoreModelRefused as refused:
            raise InvalidRequest(str(refused), reason=refused.reason, field=field) from refused

    async def _pool(self, pool: str, registry: Registry) -> PoolScores:
        words = await self._words.about(pool)
        state = in_force(words)
        return PoolScores(pool, state.model(registry.active), state, words)

    def allow(self, roles: frozenset[str], pool: str) -> None:
        """Raises NotAllowed, NotFound (POOL_UNKNOWN)."""
        require_operator(roles)
        if pool != ALL_POOLS and pool not in self._floor.desks:
            raise NotFound(f"there is no pool {pool!r} here", reason="POOL_UNKNOWN", field="pool")

    def _word(
        self, verb: Verb, operator: str, pool: str, note: str, model: ScoreModel | None = None
    ) -> Word:
        return Word(verb, pool, operator, self._clock.now().timestamp(), model, note=note)

    async def say(self, word: Word) -> InForce:
        """Keeps it, and says so in the log. Raises PreconditionFailed where it makes no sense."""
        with _not_now():
            state = await self._words.say(word)
        version = self.counts(state).version
        _log.warning(
            "audit.score", pool=word.pool, verb=word.verb, operator=word.said_by, version=version
        )
        return state

    def counts(self, state: InForce) -> ScoreModel:
        """The version that counts outside experiments."""
        return state.model(self._known.active)


@contextmanager
def _not_now() -> Iterator[None]:
    """Something is not in a state for it."""
    try:
        yield
    except (ScoreModelRefused, WordRefused) as refused:
        raise PreconditionFailed(
            str(refused), reason=refused.reason, field=refused.field
        ) from refused
