"""Engines in their order: the first one that has an answer which passes the gate, within the time
that is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.runtime.clock import Clock
from inyeon.translation.app.cache import AnswerCache, Key
from inyeon.translation.app.ports import Engine, Observer
from inyeon.translation.domain.answers import EngineAnswer, Tier
from inyeon.translation.domain.gate import examine
from inyeon.translation.domain.postedit import post_edit
from inyeon.translation.domain.protection import Protected
from inyeon.translation.errors import EngineRefused, EngineUnavailable

OPEN_AFTER = 3  # failures in a row: one may be a hiccup, and a respawned pipe answers the next call
OPEN_S = 5.0  # how long a broken engine is left alone; a respawn takes 0.2 s


@dataclass(slots=True)
class Breaker:
    """Leaves a failing engine alone for a while, then lets one call try."""

    failures: int = 0
    closed_until: float = 0.0

    def lets_pass(self, now: float) -> bool:
        """A call may go out at monotonic time `now`."""
        return self.failures < OPEN_AFTER or now >= self.closed_until

    def worked(self) -> None:
        """A call was answered."""
        self.failures = 0

    def failed(self, now: float) -> None:
        """A call was not answered; the engine rests where this was one too many."""
        self.failures += 1
        if self.failures >= OPEN_AFTER:
            self.closed_until = now + OPEN_S


class Tiers:
    """Asks engines, cheapest first."""

    def __init__(
        self, engines: Sequence[Engine], cache: AnswerCache, clock: Clock, observer: Observer
    ) -> None:
        self._engines = engines
        self._cache = cache
        self._clock = clock
        self._observer = observer
        self._breakers = {engine.version: Breaker() for engine in engines}

    def routes(self) -> dict[str, list[str]]:
        """Pairs of each tier as of now, such as {"apertium": ["en-es"]}."""
        return {
            engine.tier.name.lower(): sorted("-".join(route) for route in engine.routes())
            for engine in self._engines
        }

    async def translate(
        self, sentence: Protected, source: str, target: str, deadline_s: float
    ) -> tuple[EngineAnswer, Tier] | None:
        """A checked answer with its tokens in place, and its tier; None where no tier has one in
        time.
        """
        until = self._clock.monotonic() + deadline_s
        for engine in self._engines:
            left_s = until - self._clock.monotonic()
            if left_s <= 0 or (source, target) not in engine.routes():
                continue
            answer = await self._ask(engine, sentence, source, target, left_s)
            if answer is not None:
                return answer, engine.tier
        return None

    async def _ask(
        self, engine: Engine, sentence: Protected, source: str, target: str, left_s: float
    ) -> EngineAnswer | None:
        breaker, now = self._breakers[engine.version], self._clock.monotonic()
        if not breaker.lets_pass(now):
            self._refuse(engine, "breaker")
            return None

        async def ask() -> EngineAnswer:
            return await self._checked(engine, sentence, source, target, left_s)

        try:
            async with asyncio.timeout(left_s):
                key = Key(sentence.text, source, target, engine.version)
                answer = await self._cache.get(key, ask)
        except (EngineUnavailable, TimeoutError):
            breaker.failed(self._clock.monotonic())
            self._refuse(engine, "unavailable")
            return None
        except EngineRefused as error:
            breaker.worked()
            self._refuse(engine, str(error))
            return None
        breaker.worked()
        return answer

    async def _checked(
        self, engine: Engine, sentence: Protected, source: str, target: str, left_s: float
    ) -> EngineAnswer:
        raw = await engine.translate(sentence.text, source, target, left_s)
        text = post_edit(raw.text, sentence.text, target, sentence.pattern)
        fault = examine(sentence, text, source, target)
        if fault is not None:
            raise EngineRefused(fault.value)
        return EngineAnswer(text, raw.quality)

    def _refuse(self, engine: Engine, reason: str) -> None:
        self._observer.refused(engine.tier.name.lower(), reason)
