"""SignallingService over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC

import grpc

from inyeon.gateway.adapters.wire import PeerCarrier, decode
from inyeon.gateway.app.signalling import (
    Heard,
    Notice,
    PartnerIsGone,
    PartnerIsHere,
    Relayed,
    SignallingSide,
)
from inyeon.gateway.domain.calls import CallRight, CallSide
from inyeon.gateway.errors import CallRefused, OutOfOrder
from inyeon.runtime.clock import Clock
from inyeon.runtime.identity.context import current_claims
from inyeon.runtime.identity.statements import StatementVerifier
from inyeon.runtime.identity.statements_pb import unseal
from inyeon.runtime.peers import Peers
from inyeon.runtime.validation import validate
from inyeon_protos.common.v1 import identity_pb2
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

FIRST_MESSAGE_S = 10.0  # the grant is in the device's hands when it calls; 10 s is a slow network

Requests = AsyncIterator[edge_pb2.SignalRequest]
Responses = AsyncIterator[edge_pb2.SignalResponse]


class SignallingApi(edge_pb2_grpc.SignallingServiceServicer):
    """One call a device and match."""

    def __init__(
        self, peers: Peers, grants: StatementVerifier, clock: Clock, queue_size: int
    ) -> None:
        self._peers = peers
        self._grants = grants
        self._clock = clock
        self._queue_size = queue_size
        self._sides: set[SignallingSide] = set()

    async def Signal(
        self,
        request_iterator: Requests,
        context: grpc.aio.ServicerContext[edge_pb2.SignalRequest, edge_pb2.SignalResponse],
    ) -> Responses:
        """Relays between the two people of a live match until it ends."""
        side = await self._open(request_iterator)
        user_id, epoch = side.side.right.user_id, side.side.epoch
        self._peers.hold(user_id, epoch, lambda name, data: _take(side, name, data))
        self._sides.add(side)
        reading = asyncio.create_task(self._read(side, request_iterator))
        try:
            await side.arrive()
            async for heard in side.heard():
                yield _message(heard)
            await _failure_of(reading)
        finally:
            reading.cancel()
            self._sides.discard(side)
            self._peers.release(user_id, epoch)
            try:
                await side.leave()  # before anything that a second cancellation may cut short
            finally:
                # Left running, whoever closes the requests next would find them still being read.
                await asyncio.wait([reading])

    async def drain(self) -> None:
        """Ends all signalling; devices open it again elsewhere."""
        for side in tuple(self._sides):
            side.stop()

    async def _open(self, requests: Requests) -> SignallingSide:
        try:
            first = await asyncio.wait_for(anext(requests), FIRST_MESSAGE_S)
        except (TimeoutError, StopAsyncIteration):
            raise OutOfOrder("no grant came") from None
        validate(first)
        if first.WhichOneof("kind") != "grant":
            raise OutOfOrder("the first message must be the grant", field="grant")
        epoch = int(self._clock.now().astimezone(UTC).timestamp() * 1e6)
        side = CallSide(self._right(first.grant, "grant"), epoch)
        queue: asyncio.Queue[Heard | Notice | None] = asyncio.Queue(self._queue_size)
        return SignallingSide(side, PeerCarrier(self._peers), self._clock, queue)

    async def _read(self, side: SignallingSide, requests: Requests) -> None:
        try:
            async for request in requests:
                validate(request)
                match request.WhichOneof("kind"):
                    case "signal":
                        signal = request.signal
                        await side.say(Relayed(signal.match_id, signal.kind, signal.body))
                    case "renewed_grant":
                        side.renew(self._right(request.renewed_grant, "renewed_grant"))
                    case _:
                        raise OutOfOrder("only signals follow the grant", field="kind")
        finally:
            side.stop()

    def _right(self, statement: identity_pb2.SignedStatement, field: str) -> CallRight:
        grant = unseal(self._grants, statement, identity_pb2.MatchGrant, self._clock.now())
        if grant.user_id != current_claims().subject:
            raise CallRefused("the grant is somebody else's", field=field)
        expires_at = grant.expires_at.ToDatetime(tzinfo=UTC)
        return CallRight(grant.match_id, grant.user_id, grant.partner_id, expires_at)


def _take(side: SignallingSide, type_name: str, payload: bytes) -> bool:
    what = decode(type_name, payload)
    return what is not None and side.take(what)


async def _failure_of(reading: asyncio.Task[None]) -> None:
    """Raises what the reader raised; a reader that goes on is not waited for."""
    if reading.done() and not reading.cancelled():
        reading.result()


def _message(heard: Heard) -> edge_pb2.SignalResponse:
    match heard:
        case PartnerIsHere(match_id):
            present = edge_pb2.PartnerPresent(match_id=match_id)
            return edge_pb2.SignalResponse(partner_present=present)
        case PartnerIsGone(match_id):
            return edge_pb2.SignalResponse(partner_gone=edge_pb2.PartnerGone(match_id=match_id))
        case Relayed(match_id, kind, body):
            number = edge_pb2.SignalKind.ValueType(kind)
            signal = edge_pb2.Signal(match_id=match_id, kind=number, body=body)
            return edge_pb2.SignalResponse(signal=signal)
