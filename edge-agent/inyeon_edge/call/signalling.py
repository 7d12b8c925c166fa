"""Signalling: the seam to the gateway that carries descriptions between the two people of a
match."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from grpc import aio

from inyeon_edge.errors import StreamBroken
from inyeon_edge.uplink.channel import bearer, uplink_error
from inyeon_edge.uplink.facts import Statement
from inyeon_edge.uplink.identity import GATEWAY
from inyeon_edge.uplink.protocol import TokenSource
from inyeon_edge.uplink.waiting import deadline
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

WRITE_S = 5.0  # an SDP of 2 kB on a phone's network takes well under one second


@dataclass(frozen=True, slots=True)
class PartnerHere:
    """The partner's device is connected to signalling."""


@dataclass(frozen=True, slots=True)
class PartnerGone:
    """The partner's device is not connected to signalling."""


@dataclass(frozen=True, slots=True)
class Signal:
    """From the partner: OFFER, ANSWER, CANDIDATE or BYE."""

    kind: str
    body: str


Heard: TypeAlias = PartnerHere | PartnerGone | Signal


class SignallingLink(Protocol):
    """One signalling connection of one match."""

    async def send(self, kind: str, body: str = "") -> None:
        """Says something to the partner. Raises StreamBroken or StreamRefused."""
        ...

    async def renew(self, grant: Statement) -> None:
        """Goes on with a newer grant. Raises StreamBroken or StreamRefused."""
        ...

    async def hear(self) -> Heard | None:
        """What comes next; None at the end. Raises StreamBroken or StreamRefused."""
        ...

    def close(self) -> None:
        """Ends the connection; may be called more than once."""
        ...


class Signalling(Protocol):
    """Opens signalling connections."""

    async def open(self, match_id: str, grant: Statement) -> SignallingLink:
        """Connects for a match. Raises StreamBroken or StreamRefused."""
        ...


class GrpcSignalling:
    """`SignallingService/Signal` at the gateway."""

    def __init__(self, channel: aio.Channel, tokens: TokenSource) -> None:
        self._stub = edge_pb2_grpc.SignallingServiceStub(channel)
        self._tokens = tokens

    async def open(self, match_id: str, grant: Statement) -> GrpcLink:
        token = await self._tokens.token(GATEWAY, left_s=60.0)
        link = GrpcLink(self._stub.Signal(metadata=bearer(token.value)), match_id)
        try:
            await link.open(grant)
        except BaseException:
            link.close()
            raise
        return link


class GrpcLink:
    """One call of Signal."""

    def __init__(self, call: Any, match_id: str) -> None:
        self._call, self._match_id = call, match_id

    async def open(self, grant: Statement) -> None:
        """Says the grant first."""
        await self._write(edge_pb2.SignalRequest(grant=grant.message()))

    async def send(self, kind: str, body: str = "") -> None:
        number = edge_pb2.SignalKind.Value(f"SIGNAL_KIND_{kind}")
        signal = edge_pb2.Signal(match_id=self._match_id, kind=number, body=body)
        await self._write(edge_pb2.SignalRequest(signal=signal))

    async def renew(self, grant: Statement) -> None:
        await self._write(edge_pb2.SignalRequest(renewed_grant=grant.message()))

    async def hear(self) -> Heard | None:
        try:
            message = await self._call.read()
        except aio.AioRpcError as error:
            raise uplink_error(error) from error
        if message is aio.EOF:
            return None
        return _heard(message) or await self.hear()

    def close(self) -> None:
        self._call.cancel()  # grpcio >= 1.83 never cancels a dropped call (grpc#43462)

    async def _write(self, message: edge_pb2.SignalRequest) -> None:
        try:
            async with deadline(WRITE_S, "signalling takes nothing"):
                await self._call.write(message)
        except aio.AioRpcError as error:
            raise uplink_error(error) from error
        except (aio.UsageError, asyncio.InvalidStateError) as error:
            raise StreamBroken(f"signalling: {error}") from error


def _heard(message: edge_pb2.SignalResponse) -> Heard | None:
    kind = message.WhichOneof("kind")
    if kind == "partner_present":
        return PartnerHere()
    if kind == "partner_gone":
        return PartnerGone()
    if kind == "signal":
        name = edge_pb2.SignalKind.Name(message.signal.kind).removeprefix("SIGNAL_KIND_")
        return Signal(name, message.signal.body)
    return None
