"""Hears second opinions and moves the verdict of the people whose streams are held here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from inyeon.moderation.app.live import LiveSession, LiveSessions
from inyeon.moderation.app.ports import JudgingMeter
from inyeon.moderation.domain.opinions import Opinion
from inyeon.moderation.domain.verdict import Transition
from inyeon.runtime.clock import Clock

HEARD_FOR = timedelta(minutes=5)  # later the picture is another one, and a person has the case
REMEMBERED = 10_000  # opinions of people who are elsewhere: 30 s of 300/s, 5 MB at most
MOVES = 64  # verdicts told at once; telling a partner on another replica takes up to a second

Move = Callable[[LiveSession, Transition], Coroutine[Any, Any, None]]
Asks = Callable[[LiveSession, Opinion], Coroutine[Any, Any, None]]


class Heeding:
    """Every replica hears every opinion; only the holder of the stream heeds it.

    One that finds no stream is remembered for a while: a device that is just changing replicas, or
    comes back after a cut, gets it when it opens. The case was opened by whoever gave the opinion.
    """

    def __init__(
        self, sessions: LiveSessions, move: Move, ask: Asks, clock: Clock, meter: JudgingMeter
    ) -> None:
        self._sessions = sessions
        self._move = move
        self._ask = ask
        self._clock = clock
        self._meter = meter
        self._unheard: OrderedDict[str, Opinion] = OrderedDict()
        self._telling: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOVES)
        self._failure: BaseException | None = None

    async def heard(self, opinion: Opinion) -> None:
        """An opinion from the log. Waits only while many verdicts are being told. Raises what an
        earlier one met that nobody raises on purpose."""
        if self._failure is not None:
            raise self._failure
        if self._clock.now() - opinion.raised_at > HEARD_FOR:
            self._meter.heard("stale")
            return
        live = self._sessions.of(opinion.user_id)
        if live is None or live.session_id != opinion.session_id:
            self._remember(opinion)
            self._meter.heard("elsewhere")
            return
        await self._heed(live, opinion)

    async def opened(self, live: LiveSession) -> None:
        """A session opened here: an opinion that came while nobody held it counts now."""
        opinion = self._unheard.pop(live.machine.escalation, None)
        if opinion is not None and self._clock.now() - opinion.raised_at <= HEARD_FOR:
            await self._heed(live, opinion)

    async def _heed(self, live: LiveSession, opinion: Opinion) -> None:
        standing = live.machine.escalation == opinion.escalation_id
        moved = live.machine.opinion(opinion, self._clock.monotonic())
        self._meter.heard("moved" if moved else "stayed")
        if moved is not None:
            await self._aside(self._move(live, moved))
        elif standing:
            await self._aside(self._ask(live, opinion))

    async def _aside(self, doing: Coroutine[Any, Any, None]) -> None:
        """The next opinion does not wait for this one's partner or store. The person's own device
        is told before the first wait of `doing`."""
        await self._room.acquire()
        task = asyncio.create_task(doing)
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        self._room.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error

    def _remember(self, opinion: Opinion) -> None:
        self._unheard[opinion.escalation_id] = opinion
        self._unheard.move_to_end(opinion.escalation_id)
        while len(self._unheard) > REMEMBERED:
            self._unheard.popitem(last=False)
