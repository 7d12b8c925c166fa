"""Wakes relays of other processes when events are committed here, and ours when they are there.

Rung after the commit, on a connection of its own: NOTIFY inside a transaction would make all
commits of the database wait for each other. A ring may be lost with its process; relays look by
themselves every second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.store.postgres_errors import OF_THE_DRIVER

CHANNEL = "inyeon_outbox"
# 200 rings a second at most. At 500 commits a second a relay finds two or three at each ring, and
# an event waits 2.5 ms longer on average.
GAP_S = 0.005
AGAIN_S = 0.5  # the server is away: relays look by themselves meanwhile

_logger = logging.getLogger(__name__)


class Doorbell:
    """One connection. Start `run` as a task; `ring` from anywhere in the loop."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._rung = asyncio.Event()
        self._listening = False
        self.connected = asyncio.Event()
        """The connection stands, and listens where it should."""

    def ring(self) -> None:
        """Events were committed. Returns at once; many rings become one."""
        self._rung.set()

    def listen(self) -> None:
        """From now on somebody here wants to hear."""
        self._listening = True
        self._rung.set()

    async def run(self, heard: Callable[[], None]) -> None:
        """Rings and listens until cancelled; comes back by itself after outages."""
        while True:
            await self._rung.wait()
            try:
                await self._serve(await self._connect(), heard)
            except (StoreUnavailable, *OF_THE_DRIVER) as error:
                _logger.info("the doorbell is away: %r", error)
            self.connected.clear()
            await asyncio.sleep(AGAIN_S)
            self._rung.set()  # to connect again, and for what was rung meanwhile

    async def _serve(self, connection: Any, heard: Callable[[], None]) -> None:
        connection.add_termination_listener(lambda _: self._rung.set())
        hears = False
        try:
            while not connection.is_closed():
                self._rung.clear()
                if self._listening and not hears:
                    await connection.add_listener(CHANNEL, lambda *_: heard())
                    hears = True
                    heard()  # for what was rung before we listened
                self.connected.set()
                await connection.execute(f"NOTIFY {CHANNEL}")
                await asyncio.sleep(GAP_S)
                await self._rung.wait()
        finally:
            # Listeners are forgotten with the connection; closing politely needs a server.
            with suppress(*OF_THE_DRIVER):
                await connection.close(timeout=1)
