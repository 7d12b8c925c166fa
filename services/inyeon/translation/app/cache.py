"""Sentences that were translated already, and those that somebody is translating right now.

Keys hold protected text only: names, links and numbers are tokens in it. Nothing is written to
disk.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inyeon.translation.domain.answers import EngineAnswer


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two requests the same."""

    text: str
    source: str
    target: str
    engine: str


class AnswerCache:
    """Least recently used goes first; the same question is asked of an engine once at a time."""

    def __init__(self, size: int, note: Callable[[bool], None] = lambda hit: None) -> None:
        self._size = size
        self._note = note
        self._answers: OrderedDict[Key, EngineAnswer] = OrderedDict()
        self._flights: dict[Key, asyncio.Task[EngineAnswer]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, key: Key, ask: Callable[[], Awaitable[EngineAnswer]]) -> EngineAnswer:
        """The answer, from memory, from a request that is under way, or from `ask`. Raises what
        `ask` raises.

        A caller that is cancelled or runs out of time leaves the others' request alone.
        """
        answer = self._answers.get(key)
        self._note(answer is not None)
        if answer is not None:
            self._answers.move_to_end(key)
            return answer
        flight = self._flights.get(key) or self._start(key, ask)
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Ends what is under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _start(
        self, key: Key, ask: Callable[[], Awaitable[EngineAnswer]]
    ) -> asyncio.Task[EngineAnswer]:
        async def fly() -> EngineAnswer:
            return await ask()

        flight = asyncio.get_running_loop().create_task(fly())
        self._flights[key] = flight
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    def _land(self, key: Key, flight: asyncio.Task[EngineAnswer]) -> None:
        self._flights.pop(key, None)
        if flight.cancelled() or flight.exception() is not None:
            return
        self._answers[key] = flight.result()
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
