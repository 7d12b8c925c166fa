"""Heartbeats on their way to the owners of pools: many in one call, the newest of each person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from inyeon.matching.api.callers import Caller
from inyeon.matching.api.forwarding import Spoken

EVERY_S = 0.25
"""1,000 people who beat once a second are four calls a second and not 1,000."""
AT_ONCE_S = 0.02
"""Who comes or goes is told at once: within a second nobody may be proposed to who has gone."""
IN_ONE_CALL = 200
"""A heartbeat with its pass has some 500 B: 100 KB, within the 256 KB of a message."""

Send = Callable[[str, Sequence[Spoken]], Awaitable[bool]]
"""(pool, heartbeats) -> the owner took them."""


class Beats:
    """Collects and sends. One event loop owns it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._due: dict[str, dict[str, Spoken]] = {}
        self._attention: dict[str, object] = {}
        self._urgent = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}

    def add(self, pool: str, spoken: Spoken, attention: object) -> None:
        """A heartbeat; the one before it that is still here no longer matters. `attention`: what it
        says of the person; a change is sent at once."""
        user_id = spoken[0].user_id
        self._due.setdefault(pool, {})[user_id] = spoken
        if self._attention.get(user_id) != attention:
            self._attention[user_id] = attention
            self._urgent.set()

    def take(self, pool: str, caller: Caller) -> list[Spoken]:
        """The caller's heartbeat that waits here, to go before what they say now."""
        spoken = self._due.get(pool, {}).pop(caller.user_id, None)
        return [] if spoken is None else [spoken]

    def forget(self, pool: str, caller: Caller) -> None:
        """The stream is over."""
        self.take(pool, caller)
        self._attention.pop(caller.user_id, None)

    async def run(self) -> None:
        """Sends what is due, for as long as this task lives."""
        try:
            while True:
                await self._wait()
                for pool in [pool for pool, due in self._due.items() if due]:
                    if pool not in self._sending:  # a slow owner holds up its own pool only
                        self._sending[pool] = asyncio.create_task(self._flush(pool))
        finally:
            for task in self._sending.values():
                task.cancel()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._urgent.wait()
                await asyncio.sleep(AT_ONCE_S)  # others that come with it go with it
        except TimeoutError:
            pass
        self._urgent.clear()

    async def _flush(self, pool: str) -> None:
        try:
            due, self._due[pool] = self._due[pool], {}
            spoken = list(due.values())
            for start in range(0, len(spoken), IN_ONE_CALL):
                chunk = spoken[start : start + IN_ONE_CALL]
                if not await self._send(pool, chunk):
                    for one in chunk:  # again with the next, unless there is a newer one
                        self._due[pool].setdefault(one[0].user_id, one)
        finally:
            del self._sending[pool]
