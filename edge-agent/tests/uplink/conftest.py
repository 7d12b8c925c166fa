"""Helpers of the uplink's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from inyeon_edge.errors import UplinkError
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import Clock, SystemClock
from inyeon_edge.uplink.outbox import MemoryOutbox, Outbox
from inyeon_edge.uplink.protocol import StreamSettings, StreamSpec
from inyeon_edge.uplink.sender import Sent
from inyeon_edge.uplink.stream import ResumableStream
from inyeon_edge.uplink.twin import PlatformTwin, TwinTokens
from inyeon_protos.moderation.v1.safety_pb2 import ObserveRequest, ObserveResponse

Stream = ResumableStream[ObserveRequest, ObserveResponse]
Platform = PlatformTwin[ObserveRequest, ObserveResponse]


class Notes:
    """Stream events, written down."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.received_sequences: list[int] = []
        self.done: list[Sent] = []
        self.carriers: list[ObserveResponse] = []
        self.troubles: list[UplinkError] = []
        self.first: list[ObserveRequest] = []

    def preamble(self) -> Sequence[ObserveRequest]:
        return self.first

    def opened(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def received(self, message: ObserveResponse) -> None:
        self.received_sequences.append(message.sequence)

    def acknowledged(self, done: Sequence[Sent], carrier: ObserveResponse | None) -> None:
        self.done += done
        if carrier is not None:
            self.carriers.append(carrier)

    def troubled(self, error: UplinkError, retry_in_s: float) -> None:
        self.troubles.append(error)


class Rig:
    """A stream, its platform and what it told."""

    def __init__(
        self,
        clock: Clock | None = None,
        outbox: Outbox | None = None,
        settings: StreamSettings | None = None,
        max_in_flight: int = 32,
        session_id: str = "",
    ) -> None:
        self.clock = clock or SystemClock()
        self.outbox = outbox if outbox is not None else MemoryOutbox()
        self.platform: Platform = PlatformTwin(ObserveResponse, max_in_flight)
        self.tokens = TwinTokens(self.clock.monotonic)
        self.notes = Notes()
        spec: StreamSpec[ObserveRequest, ObserveResponse] = StreamSpec(
            "observe", "inyeon-moderation", ObserveRequest, settings or StreamSettings()
        )
        self.stream: Stream = ResumableStream(
            spec,
            self.platform,
            self.outbox,
            self.tokens,
            self.notes,
            self.clock,
            Backoff(Random(7), first_s=0.0005, cap_s=0.001),
            "installation",
            session_id,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        task = asyncio.create_task(self.stream.run())
        try:
            yield self
        finally:
            self.stream.stop()
            await asyncio.wait_for(task, 5)


def window(number: int) -> ObserveRequest:
    """A request that can be told from others."""
    request = ObserveRequest()
    request.window.match_id = f"m{number}"
    return request


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Waits, within a bound, until the condition holds."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - a bounded poll
            await asyncio.sleep(0.001)


async def settle(turns: int = 12) -> None:
    """Lets everybody who can go on do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.fixture
def rig() -> Rig:
    """A stream over the machine's clock."""
    return Rig()
