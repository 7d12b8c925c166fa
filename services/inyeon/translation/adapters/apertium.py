"""Apertium as an engine: one open pipe for each pair, started when it is first needed or warmed."""

from __future__ import annotations

import asyncio
import re

import structlog

from inyeon.translation.adapters import apertium_text
from inyeon.translation.adapters.apertium_pipe import ApertiumPipe
from inyeon.translation.adapters.apertium_place import ApertiumPlace, Route
from inyeon.translation.domain.answers import EngineAnswer, Tier
from inyeon.translation.errors import EngineRefused, EngineUnavailable

BEST = 0.7  # "basic" quality: BLEU 26 to 53 on Tatoeba (facts, section 2)
MOST_UNKNOWN = 0.34  # more than every third word unknown: what is left says nothing
_TOKEN_MARK = re.compile(r"\*(?=[A-Z]{2,4}[NLME]\d)")

_log = structlog.get_logger(__name__)


class ApertiumEngine:
    """Owns its pipes; `close` stops every process."""

    def __init__(self, place: ApertiumPlace, version: str = "apertium") -> None:
        self._place = place
        self._modes = place.routes()
        self._version = version
        self._pipes: dict[Route, ApertiumPipe] = {}

    @property
    def tier(self) -> Tier:
        """Apertium."""
        return Tier.APERTIUM

    @property
    def version(self) -> str:
        """Part of cache keys."""
        return self._version

    def routes(self) -> frozenset[Route]:
        """Pairs whose modes are installed."""
        return frozenset(self._modes)

    def state(self) -> dict[str, str]:
        """What each pair does now: idle, running or stopped."""
        return {"-".join(route): self._state_of(route) for route in sorted(self._modes)}

    async def translate(
        self, text: str, source: str, target: str, deadline_s: float
    ) -> EngineAnswer:
        """As Engine says. Quality falls with unknown words and with words not inflected."""
        raw = await self._pipe((source, target)).translate(text, deadline_s)
        answer, unknown, failed = apertium_text.clear_marks(_TOKEN_MARK.sub("", raw))
        words = max(1, apertium_text.count_words(answer))
        if unknown > MOST_UNKNOWN * words:
            raise EngineRefused("unknown-words")
        quality = BEST * max(0.0, 1.0 - (unknown + 0.5 * failed) / words)
        return EngineAnswer(answer, round(quality, 3))

    async def warm(self, routes: frozenset[Route]) -> None:
        """Starts these pairs, so that the first sentence does not wait for them; failures are
        logged.
        """
        for route in sorted(routes & self.routes()):
            try:
                await self._pipe(route).warm()
            except EngineUnavailable as error:
                _log.warning("apertium.warm_failed", pair="-".join(route), reason=str(error))

    async def close(self) -> None:
        """Stops every stage of every pair."""
        await asyncio.gather(*(pipe.close() for pipe in self._pipes.values()))

    def _pipe(self, route: Route) -> ApertiumPipe:
        if route not in self._pipes:
            if route not in self._modes:
                raise EngineRefused("no-route")
            stages = self._place.stages(self._modes[route])
            self._pipes[route] = ApertiumPipe(stages, self._place.environment())
        return self._pipes[route]

    def _state_of(self, route: Route) -> str:
        pipe = self._pipes.get(route)
        if pipe is None:
            return "idle"
        return "running" if pipe.alive else "stopped"
