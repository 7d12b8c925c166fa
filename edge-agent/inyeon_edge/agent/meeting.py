"""One match on this device: its conversation, its call, its partner's picture."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from inyeon_edge.agent.commands import Say
from inyeon_edge.agent.report import Report
from inyeon_edge.agent.seams import Caller, CallHandle, PartnerPicture
from inyeon_edge.errors import CallFailed, EdgeError
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.converse import Converse
from inyeon_edge.uplink.facts import Matched, Statement

MEDIA_EVERY_S = 1.0  # readers are promised one every 2 s
END_S = 3.0  # 2 the picture's connection + 1.5 the conversation, side by side; the agent has 5


class Meeting:
    """Lives from matched to over. Made and used by the loop."""

    def __init__(
        self,
        matched: Matched,
        converse: Converse,
        caller: Caller,
        partner: PartnerPicture,
        report: Report,
        clock: Clock,
        call_failed: Callable[[str], None],
    ) -> None:
        self.matched = matched
        self._converse, self._caller, self._partner = converse, caller, partner
        self._report, self._clock, self._call_failed = report, clock, call_failed
        self._call: CallHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Opens the conversation and calls."""
        self._tasks = [
            asyncio.create_task(self._converse.run()),
            asyncio.create_task(self._hold_call()),
        ]

    @property
    def is_open(self) -> bool:
        """The conversation takes lines at once."""
        return self._converse.stream.is_open

    def say(self, line: Say) -> None:
        """Says a line. Raises InputRefused or OutboxFull."""
        self._converse.say(line.segment_id, line.text)

    async def renew(self, grant: Statement) -> None:
        """Goes on with a newer grant in conversation and call."""
        self._converse.renew(grant)
        if self._call is not None:
            await self._call.renew(grant)

    def hang_up(self) -> None:
        """Ends the call; captions go on until the match is over."""
        if self._call is not None:
            self._call.hang_up()

    async def end(self) -> None:
        """Ends conversation and call and waits for both; nothing of them is left."""
        self.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._converse.stream.close()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold_call(self) -> None:
        counting: asyncio.Task[None] | None = None
        try:
            call = await self._caller.call(self.matched, self._partner.show, self._report.call)
            self._call = call
            self._partner.begin(self.matched.match_id, call.counts)
            counting = asyncio.create_task(self._count(call))
            await call.run()
        except CallFailed as error:
            self._report.error("UNAVAILABLE", error.reason, error.field, str(error))
            self._call_failed("LOST" if error.reason == "LOST" else "CONNECT_FAILED")
        except EdgeError as error:
            self._report.error("INTERNAL", error.reason, error.field, str(error))
            self._call_failed("CONNECT_FAILED")
        finally:
            if counting is not None:
                counting.cancel()
            self._partner.end(self.matched.match_id)

    async def _count(self, call: CallHandle) -> None:
        while True:
            await self._clock.sleep(MEDIA_EVERY_S)
            counts = call.counts
            self._report.media(counts.sent, counts.decoded, counts.changed, counts.filtered)
