"""Simulated people: they look for somebody, stay a while, part, block, report, get flagged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc import aio

from inyeon_chaos.devices import (
    DOUBT_WINDOWS,
    DOUBTFUL,
    DRAWN,
    FLAG_WINDOWS,
    LANGUAGES,
    QUIET,
    SimulatedObserve,
    SimulatedSeek,
    simulated_embedding,
    simulated_wish,
)
from inyeon_chaos.history import History, Kind
from inyeon_edge.errors import UplinkError
from inyeon_edge.uplink.channel import GrpcTransport, bearer, open_channel
from inyeon_edge.uplink.clock import SystemClock
from inyeon_edge.uplink.conversation import Line
from inyeon_edge.uplink.facts import Attention, Fact, Trouble
from inyeon_edge.uplink.identity import MODERATION, Declared, DevelopmentIssuer, Identity
from inyeon_edge.uplink.seek import Condition
from inyeon_protos.matching.v1 import matching_pb2_grpc
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

WINDOW_S = 1.0
STAY_S = (1.5, 4.0)
CALL_S = 5.0
AGAIN_S, TRIES = 0.5, 100  # after a call that failed: 50 s and the calls themselves
LOOK_S = 0.1
OVER_S = 60.0  # a match that one has ended is over for both long before
REPORTED = safety_pb2.REPORT_REASON_HARASSMENT

BLOCKS, REPORTS, FLAGS, DOUBTS = 0.015, 0.015, 0.06, 0.06
"""Of the meetings; the rest ends because somebody goes on. Two of whom one blocked the other never
meet again: after 300 meetings most of the 45 pairs of ten people must be left."""

_SERVICES = {
    "moderation": "inyeon.moderation.v1.SafetyService",
    "matching": "inyeon.matching.v1.MatchingService",
    "gateway": "inyeon.edge.v1.DevelopmentIdentityService",
}


class Channels:
    """One gRPC channel to each service, shared by everybody."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._channels = {
            role: open_channel(endpoints[role], name) for role, name in _SERVICES.items()
        }

    def __getitem__(self, role: str) -> aio.Channel:
        return self._channels[role]

    async def close(self) -> None:
        """Closes them all."""
        for channel in self._channels.values():
            await channel.close()


class Person:
    """One simulated person with one simulated device."""

    def __init__(self, number: int, channels: Channels, history: History, seed: int) -> None:
        self.user = f"simulated-{seed}-{number}"
        self.met: list[str] = []
        """Matches, in the order in which they were told."""
        self._random = random.Random(f"{seed} {number}")
        self._history = history
        self._channels = channels
        language = LANGUAGES[number % len(LANGUAGES)]
        self._identity = Identity(
            DevelopmentIssuer(channels["gateway"], Declared(self.user, country="KR")), SystemClock()
        )
        observe = safety_pb2_grpc.SafetyServiceStub(channels["moderation"]).Observe
        seek = matching_pb2_grpc.MatchingServiceStub(channels["matching"]).Seek
        self.observe = SimulatedObserve(self._line(observe), history, self.user)
        wish = simulated_wish(self._random)
        wish.languages[0].tag = language
        self.seek = SimulatedSeek(
            self._line(seek),
            wish,
            Condition(self.observe.safety_pass, lambda: Attention.PRESENT),
            history,
            self.user,
            self._on_met,
        )
        self._partner = ""
        self._closing = asyncio.Event()

    @property
    def linked(self) -> bool:
        """Both streams are open."""
        return self.observe.stream.is_open and self.seek.stream.is_open

    async def live(self) -> None:
        """Until `close`, and then until both streams are closed."""
        async with asyncio.TaskGroup() as group:
            streams = [
                group.create_task(self.observe.run()),
                group.create_task(self.seek.run()),
            ]
            seeing = group.create_task(self._see())
            await self._wander()
            seeing.cancel()
            for task in streams:
                await task

    def be_drawn(self) -> None:
        """A drawing before the camera for some seconds, then a quiet picture again."""
        keys = {self.observe.see(DRAWN) for _ in range(FLAG_WINDOWS)}
        if None not in keys:
            self.observe.flag({key for key in keys if key is not None})

    def close(self) -> None:
        """Nobody new is met."""
        self._closing.set()

    async def _wander(self) -> None:
        while not self._closing.is_set():
            self.seek.look()
            if await self._until(lambda: bool(self.seek.match_id), WINDOW_S):
                await self._meet()
        await self._part()
        self.seek.leave()
        await self.seek.stream.close()
        await self.observe.stream.close()

    async def _meet(self) -> None:
        await asyncio.sleep(self._random.uniform(*STAY_S))
        draw = self._random.random()
        for share, act in (
            (BLOCKS, self._block),
            (REPORTS, self._report),
            (FLAGS, self._be_flagged),
            (DOUBTS, self._be_doubtful),
        ):
            if draw < share:
                await act()
                break
            draw -= share
        await self._part()

    async def _part(self) -> None:
        """Ends what is live; the platform's word that it is over ends it here."""
        ended = self.seek.match_id
        if ended:
            self.seek.part()
            await self._until(lambda: self.seek.match_id != ended, OVER_S)

    async def _see(self) -> None:
        while True:
            self.observe.see(QUIET)
            await asyncio.sleep(WINDOW_S)

    async def _be_flagged(self) -> None:
        self.be_drawn()

    async def _be_doubtful(self) -> None:
        for _ in range(DOUBT_WINDOWS):
            self.observe.see(DOUBTFUL, simulated_embedding(self._random))

    async def _block(self) -> None:
        request = safety_pb2.BlockRequest(request_id=str(uuid.uuid4()), blocked_id=self._partner)
        stub = safety_pb2_grpc.SafetyServiceStub(self._channels["moderation"])
        await self._ask("block", request.request_id, lambda m: stub.Block(request, **m))

    async def _report(self) -> None:
        request = safety_pb2.ReportRequest(
            request_id=str(uuid.uuid4()),
            reported_id=self._partner,
            match_id=self.seek.match_id,
            reason=REPORTED,
        )
        stub = safety_pb2_grpc.SafetyServiceStub(self._channels["moderation"])
        await self._ask("report", request.request_id, lambda m: stub.Report(request, **m))

    async def _ask(
        self, what: str, request_id: str, call: Callable[[dict[str, Any]], Awaitable[object]]
    ) -> None:
        """A unary call, again with the same id until it is answered, or given up."""
        other = self._partner
        self._history.add(Kind.SENT, what, user=self.user, other=other, id=request_id)
        for _ in range(TRIES):
            if await self._answered(what, call):
                fields = {"user": self.user, "other": other, "id": request_id}
                self._history.add(Kind.ACCEPTED, what, **fields)
                return
            await asyncio.sleep(AGAIN_S)

    async def _answered(
        self, what: str, call: Callable[[dict[str, Any]], Awaitable[object]]
    ) -> bool:
        """False where it may be asked again. Raises AioRpcError for a refusal."""
        try:
            token = await self._identity.token(MODERATION)
            await call({"timeout": CALL_S, "metadata": bearer(token.value)})
        except UplinkError:
            return False
        except aio.AioRpcError as error:
            if error.code() not in _PASSING:
                self._history.add(
                    Kind.TOLD, "refused", user=self.user, asked=what, error=str(error.details())
                )
            return False
        return True

    async def _until(self, holds: Callable[[], bool], within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not holds():  # noqa: ASYNC110 - of state that a stream changes
                    await asyncio.sleep(LOOK_S)
        return holds()

    def _on_met(self, match_id: str, partner: str) -> None:
        self._partner = partner
        self.met.append(match_id)

    def _hear(self, fact: Fact) -> None:
        """What else matters is noted where it arrives."""
        if isinstance(fact, Trouble):
            fields = {"stream": fact.stream, "code": fact.code, "reason": fact.reason}
            self._history.add(Kind.TOLD, "trouble", user=self.user, **fields)

    def _line(self, method: Any) -> Line[Any, Any]:
        transport: GrpcTransport[Any, Any] = GrpcTransport(method)
        return Line(
            transport, self._identity, SystemClock(), self._random, uuid.uuid4().hex, self._hear
        )


_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
