"""Keeps the models' banks as the log says they are: a confirmed case matches within seconds."""

from __future__ import annotations

import asyncio
import logging

from inyeon.inference.port import BankEntry, Inference
from inyeon.moderation.app.ports import JudgingMeter
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InyeonError

GATHER_S = 0.25  # entries that come together go together: replacing a bank costs the whole of it
RETRY_S = 1.0

Place = tuple[int, int]
"""Partition of the log, and offset in it."""

_logger = logging.getLogger(__name__)


class Banking:
    """All entries in force, and the task that hands them over. One loop, no lock needed."""

    def __init__(self, inference: Inference, clock: Clock, meter: JudgingMeter) -> None:
        self._inference = inference
        self._clock = clock
        self._meter = meter
        self._entries: dict[str, BankEntry] = {}
        self._read: dict[int, int] = {}
        self._known = False
        self._changed = asyncio.Event()
        self.tried = asyncio.Event()
        """The entries known at start were handed over once, or could not be: judging may begin."""

    def take(self, entry_id: str, place: Place, entry: BankEntry | None) -> None:
        """An entry as of now and where the log says so; None where it is disabled or gone."""
        partition, offset = place
        self._read[partition] = offset + 1
        if entry is None:
            self._entries.pop(entry_id, None)
        else:
            self._entries[entry_id] = entry
        if self._known:
            self._changed.set()

    def begin(self) -> None:
        """All that the log held at start was taken: from now on banks are handed over."""
        self._known = True
        self._changed.set()

    async def run(self) -> None:
        """Hands over what changed, until cancelled. Models that are away are asked again."""
        while True:
            await self._changed.wait()
            await self._clock.sleep(GATHER_S)
            self._changed.clear()
            try:
                await self._put()
            except InyeonError as error:
                # Also one that will not pass by itself: the banks before it stay in force, and an
                # entry that is disabled makes it good.
                _logger.warning("banks not handed over yet: %s", error.reason)
                self.tried.set()
                await self._clock.sleep(RETRY_S)
                self._changed.set()
            self.tried.set()

    async def _put(self) -> None:
        """Of two replicas that share a server the one that has read more is the newer one. Places
        in the log tell that even when entries have left it; an empty bank has a generation too, or
        the first entry could not be told from it."""
        entries, generation = list(self._entries.values()), 1 + sum(self._read.values())
        await self._inference.put_bank(entries, generation)
        self._meter.banked(len(entries))
