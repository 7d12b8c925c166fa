"""The person's tokens, from the platform's development identity, renewed before they end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import grpc
from grpc import aio

from inyeon_edge.errors import StreamRefused
from inyeon_edge.uplink.channel import uplink_error
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.protocol import Token
from inyeon_protos.common.v1 import identity_pb2
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

MATCHING = "inyeon-matching"
MODERATION = "inyeon-moderation"
TRANSLATION = "inyeon-translation"
GATEWAY = "inyeon-gateway"

ISSUE_S = 5.0  # a signature takes a millisecond; four retries of the channel take 0.1 + 0.2 + 0.4 s


@dataclass(frozen=True, slots=True)
class Declared:
    """What a person declares of herself. In development the platform signs it unseen."""

    subject: str
    age_band: str = "adult"
    """`adult` or `minor`."""
    country: str = "KR"
    gender: str = "unspecified"
    """`female`, `male`, `other` or `unspecified`."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Tokens by audience, and how long they live."""

    subject: str
    tokens: dict[str, str]
    expires_in_s: float


class Issuer(Protocol):
    """Who hands out tokens."""

    async def issue(self) -> Issued:
        """New tokens for every audience. Raises StreamBroken or StreamRefused."""
        ...


class DevelopmentIssuer:
    """Asks `DevelopmentIdentityService/IssueToken`."""

    def __init__(self, channel: aio.Channel, declared: Declared) -> None:
        self._stub = edge_pb2_grpc.DevelopmentIdentityServiceStub(channel)
        self._request = edge_pb2.IssueTokenRequest(
            subject=declared.subject,
            age_band=identity_pb2.AgeBand.Value(f"AGE_BAND_{declared.age_band.upper()}"),
            country=declared.country,
            gender=identity_pb2.Gender.Value(f"GENDER_{declared.gender.upper()}"),
        )

    async def issue(self) -> Issued:
        try:
            answer = await self._stub.IssueToken(self._request, timeout=ISSUE_S)
        except (aio.AioRpcError, grpc.RpcError) as error:
            raise uplink_error(error) from error
        expires_in_s = answer.expires_in.ToTimedelta().total_seconds()
        return Issued(answer.subject, dict(answer.tokens), expires_in_s)


class Identity:
    """A TokenSource over an issuer: one call at a time gives the tokens of all audiences."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer, self._clock = issuer, clock
        self._tokens: dict[str, Token] = {}
        self._asking = asyncio.Lock()  # guards `_tokens` while a call is under way
        self.subject = ""

    async def token(self, audience: str, left_s: float = 0.0) -> Token:
        async with self._asking:
            known = self._tokens.get(audience)
            if known is None or known.ends_at_s - self._clock.monotonic() <= left_s:
                await self._renew()
                known = self._tokens.get(audience)
        if known is None:
            raise StreamRefused(f"no token for {audience}", code="UNAUTHENTICATED")
        return known

    def discard(self, audience: str) -> None:
        self._tokens.pop(audience, None)

    async def _renew(self) -> None:
        asked_at_s = self._clock.monotonic()
        issued = await self._issuer.issue()
        ends_at_s = asked_at_s + issued.expires_in_s
        self.subject = issued.subject
        self._tokens = {name: Token(value, ends_at_s) for name, value in issued.tokens.items()}
