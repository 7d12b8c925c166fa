"""A real server on a free port whose one stream is Observe, with a handler that remembers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.identity.keysets import StaticKeys
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier, audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions import MemorySessions, SessionStore
from inyeon.runtime.streams.settings import StreamSettings
from inyeon.runtime.telemetry import RpcMetrics
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

OBSERVE = "/inyeon.moderation.v1.SafetyService/Observe"
SERVICE = "inyeon.moderation.v1.SafetyService"
Response = safety_pb2.ObserveResponse


@dataclass
class Identity:
    """A development issuer and its verifier."""

    clock: Clock
    issuer: TokenIssuer
    verifier: TokenVerifier

    def token(self, subject: str = "u1", service: str = "moderation", **facts: Any) -> str:
        facts.setdefault("age_band", AgeBand.ADULT)
        return self.issuer.issue(subject, audience_of(service), **facts)


@dataclass
class Recorder:
    """A handler that writes down what it is told, and acknowledges at once where it is told to."""

    acknowledges: bool = True
    events: list[tuple[Any, ...]] = field(default_factory=list)
    sessions: list[Session[Any]] = field(default_factory=list)
    on_received: Callable[[Session[Any], int], Awaitable[None]] | None = None
    on_opened: Callable[[Session[Any]], Awaitable[None]] | None = None

    async def opened(self, session: Session[Any]) -> None:
        self.events.append(("opened", session.info.session_id, session.info.epoch))
        self.sessions.append(session)
        if self.on_opened:
            await self.on_opened(session)

    async def received(self, session: Session[Any], sequence: int, message: Any) -> None:
        self.events.append(("received", session.info.epoch, sequence))
        if self.on_received:
            await self.on_received(session, sequence)
        if self.acknowledges:
            await session.acknowledge(sequence)

    async def client_received(self, session: Session[Any], through: int) -> None:
        self.events.append(("client_received", session.info.epoch, through))

    async def closed(self, session: Session[Any], reason: CloseReason) -> None:
        self.events.append(("closed", session.info.epoch, reason))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == kind]


class _Servicer(safety_pb2_grpc.SafetyServiceServicer):
    def __init__(self, streams: StreamServer[Any, Response]) -> None:
        self._streams = streams

    async def Observe(self, request_iterator: Any, context: Any) -> AsyncIterator[Response]:
        async for answer in self._streams.serve(request_iterator, context):
            yield answer


@dataclass
class Running:
    """A server that runs, and what is in it."""

    address: str
    streams: StreamServer[Any, Response]
    handler: Recorder
    sessions: SessionStore
    server: grpc.aio.Server


@pytest.fixture
def identity() -> Identity:
    return make_identity(SystemClock())


def make_identity(clock: Clock) -> Identity:
    issuer = TokenIssuer(Ed25519PrivateKey.generate(), clock)
    verifier = TokenVerifier(StaticKeys(json.dumps(issuer.jwks())), clock)
    return Identity(clock, issuer, verifier)


@pytest.fixture
def identity_at() -> Callable[[Clock], Identity]:
    return make_identity


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
async def observe(identity: Identity) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """`await observe(...)` starts a server; all are stopped at the end."""
    running: list[Running] = []

    async def start(
        handler: Recorder | None = None,
        sessions: SessionStore | None = None,
        settings: StreamSettings | None = None,
        who: Identity = identity,
    ) -> Running:
        handler = handler or Recorder()
        sessions = sessions or MemorySessions(who.clock)
        streams: StreamServer[Any, Response] = StreamServer(
            "observe", Response, handler, sessions, who.clock, who.verifier, settings
        )
        access = Access({SERVICE: audience_of("moderation")}, streams=Rate(10_000, 10_000))
        limiter = RateLimiter(who.clock)
        gate = Gate(access, who.verifier, limiter, RpcMetrics(CollectorRegistry()))
        server = grpc.aio.server(interceptors=[gate])
        safety_pb2_grpc.add_SafetyServiceServicer_to_server(
            _Servicer(streams),  # type: ignore[abstract]  # Observe is all that is asked of it
            server,
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        running.append(Running(f"127.0.0.1:{port}", streams, handler, sessions, server))
        return running[-1]

    yield start
    for one in running:
        await one.server.stop(0)
        await one.streams.drain()


def window(sequence: int) -> safety_pb2.ObserveRequest:
    """The smallest window that obeys the contract."""
    request = safety_pb2.ObserveRequest(sequence=sequence)
    request.window.subject = safety_pb2.OBSERVED_SUBJECT_MYSELF
    request.window.started_at.FromSeconds(1_700_000_000)
    request.window.duration.FromTimedelta(timedelta(seconds=1))
    return request


@pytest.fixture
def make_window() -> Callable[[int], safety_pb2.ObserveRequest]:
    return window


@pytest.fixture
def observing(
    connect: Callable[..., Awaitable[Any]], identity: Identity
) -> Callable[..., Awaitable[Any]]:
    """`await observing(running)` is a device on its stream, not opened yet."""

    async def start(running: Running, token: str | None = None) -> Any:
        token = identity.token() if token is None else token
        return await connect(running.address, OBSERVE, safety_pb2.ObserveRequest, Response, token)

    return start


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits until something holds, at most 5 s."""

    async def wait(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - what a test looks at tells nobody when it changes
                await asyncio.sleep(0.005)

    return wait
