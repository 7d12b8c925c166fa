"""Makes WebRTC calls. aiortc and PyAV are loaded for the first one: 60 MB that looking needs
not."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

from inyeon_edge.agent.seams import Show
from inyeon_edge.call.frames import OutgoingFrames
from inyeon_edge.call.signalling import Signalling
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Matched

if TYPE_CHECKING:
    from inyeon_edge.call.peer import Call


class WebRtcCaller:
    """A Caller over signalling and loopback. `close` gives the addresses back."""

    def __init__(
        self, signalling: Signalling, frames: OutgoingFrames, clock: Clock, rng: Random
    ) -> None:
        self._signalling, self._frames = signalling, frames
        self._clock, self._rng = clock, rng
        self._loading = asyncio.Lock()  # guards the one-time load
        self._addresses: ExitStack | None = None

    async def call(self, matched: Matched, show: Show, told: Callable[[str], None]) -> Call:
        await self._load()
        from inyeon_edge.call.peer import Call

        return Call(
            matched.match_id,
            matched.offers,
            matched.grant,
            self._signalling,
            self._frames,
            show,
            lambda state: told(state.value),
            self._clock,
            Backoff(self._rng),
        )

    def close(self) -> None:
        """No call follows."""
        if self._addresses is not None:
            self._addresses.close()

    async def _load(self) -> None:
        async with self._loading:
            if self._addresses is None:
                await asyncio.to_thread(importlib.import_module, "inyeon_edge.call.peer")
                from inyeon_edge.call.addresses import loopback_only

                self._addresses = ExitStack()
                self._addresses.enter_context(loopback_only())
