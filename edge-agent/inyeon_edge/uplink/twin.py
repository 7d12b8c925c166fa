"""The platform's side of the stream protocol in memory: the twin of `channel.GrpcTransport`.

It commits like the platform: what a broken connection had not committed is forgotten, epochs rise,
a repeated sequence changes nothing and a gap is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic

from inyeon_edge.errors import StreamBroken, StreamRefused, UplinkError
from inyeon_edge.uplink.protocol import Req, Res, Token
from inyeon_protos.common.v1.stream_pb2 import StreamEndReason


@dataclass(slots=True)
class TwinSession(Generic[Req, Res]):
    """A session as the platform keeps it."""

    epoch: int = 0
    committed: list[Req] = field(default_factory=list)
    uncommitted: list[Req] = field(default_factory=list)
    said: list[Res] = field(default_factory=list)
    received_by_client: int = 0
    closed: bool = False


class TwinConnection(Generic[Req, Res]):
    """One call, seen from both ends."""

    def __init__(self, platform: PlatformTwin[Req, Res], token: str) -> None:
        self._platform = platform
        self._to_device: asyncio.Queue[Res | UplinkError | None] = asyncio.Queue()
        self._fault: UplinkError | None = None
        self.tokens = [token]
        self.session_id = ""
        self.cancelled = False

    async def write(self, message: Req) -> None:
        await asyncio.sleep(0)
        if self._fault is not None:
            raise self._fault
        self._platform.take(self, message)

    async def read(self) -> Res | None:
        message = await self._to_device.get()
        if isinstance(message, UplinkError):
            raise message
        return message

    def cancel(self) -> None:
        self.cancelled = True
        self._platform.gone(self)

    def deliver(self, message: Res | None) -> None:
        """From the platform to the device; None hangs up."""
        self._to_device.put_nowait(message)

    def fail(self, error: UplinkError) -> None:
        """Breaks the call for both ends."""
        self._fault = error
        self._to_device.put_nowait(error)
        self._platform.gone(self)


class PlatformTwin(Generic[Req, Res]):
    """One stream of the platform; also the Transport that reaches it."""

    def __init__(self, response: Callable[[], Res], max_in_flight: int = 32) -> None:
        self._response, self._max_in_flight = response, max_in_flight
        self.sessions: dict[str, TwinSession[Req, Res]] = {}
        self.connections: list[TwinConnection[Req, Res]] = []
        self.live: TwinConnection[Req, Res] | None = None
        self.refuse_with: UplinkError | None = None
        self.token_life_s = 900.0
        self.resumed_after: list[int] = []

    def open(self, token: str) -> TwinConnection[Req, Res]:
        connection: TwinConnection[Req, Res] = TwinConnection(self, token)
        self.connections.append(connection)
        if self.refuse_with is not None:
            connection.fail(self.refuse_with)
        return connection

    @property
    def session(self) -> TwinSession[Req, Res]:
        """The session of the live call."""
        if self.live is None:
            raise LookupError("no call is open")
        return self.sessions[self.live.session_id]

    def take(self, connection: TwinConnection[Req, Res], message: Req) -> None:
        """A message of the device arrives."""
        kind = message.control.WhichOneof("kind")
        if kind == "open":
            self._open(connection, message)
        elif kind == "renewal":
            connection.tokens.append(message.control.renewal.token)
        elif kind == "received":
            self.session.received_by_client = message.control.received.through
        elif kind == "close":
            self.session.closed = True
            self.end(StreamEndReason.STREAM_END_REASON_CLOSED)
        else:
            self._take_numbered(connection, message)

    def commit(self, count: int | None = None, carrier: Res | None = None) -> None:
        """Commits what arrived, or the first `count` of it, and acknowledges it."""
        self.commit_silently(count)
        if self.live is not None:
            ack = carrier if carrier is not None else self._response()
            ack.control.ack.through = len(self.session.committed)
            self.live.deliver(ack)

    def commit_silently(self, count: int | None = None) -> None:
        """Commits, but the acknowledgement is lost."""
        if self.live is not None:
            session = self.session
            count = len(session.uncommitted) if count is None else count
            session.committed += session.uncommitted[:count]
            del session.uncommitted[:count]

    def say(self, message: Res, session_id: str = "") -> None:
        """Says something to the device, now or when it resumes."""
        session = self.sessions[session_id] if session_id else self.session
        message.sequence = len(session.said) + 1
        session.said.append(message)
        if self.live is not None:
            self.live.deliver(message)

    def end(self, reason: StreamEndReason.ValueType, retry_after_s: float = 0.0) -> None:
        """Ends the live call on purpose."""
        if self.live is not None:
            ending = self._response()
            ending.control.ending.reason = reason
            ending.control.ending.retry_after.FromTimedelta(timedelta(seconds=retry_after_s))
            self.live.deliver(ending)

    def break_connection(self) -> None:
        """The network is gone for the live call."""
        if self.live is not None:
            self.live.fail(StreamBroken("UNAVAILABLE: cut by the twin"))

    def gone(self, connection: TwinConnection[Req, Res]) -> None:
        """A call ended: nothing uncommitted outlives it."""
        if self.live is connection:
            self.session.uncommitted.clear()
            self.live = None

    def _open(self, connection: TwinConnection[Req, Res], message: Req) -> None:
        opening = message.control.open
        session = self.sessions.setdefault(opening.session_id, TwinSession())
        if self.live is not None:
            self.gone(self.live)
        session.epoch += 1
        connection.session_id, self.live = opening.session_id, connection
        self.resumed_after.append(opening.resume_after)
        answer = self._response()
        opened = answer.control.opened
        opened.epoch, opened.acknowledged = session.epoch, len(session.committed)
        opened.max_in_flight = self._max_in_flight
        opened.token_expires_in.FromTimedelta(timedelta(seconds=self.token_life_s))
        connection.deliver(answer)
        for said in session.said[opening.resume_after :]:
            connection.deliver(said)

    def _take_numbered(self, connection: TwinConnection[Req, Res], message: Req) -> None:
        if self.live is not connection:
            return
        session = self.session
        expected = len(session.committed) + len(session.uncommitted) + 1
        if message.sequence > expected:
            error = StreamRefused("a gap", code="INVALID_ARGUMENT", reason="SEQUENCE_GAP")
            connection.fail(error)
        elif message.sequence == expected:
            session.uncommitted.append(message)


class TwinTokens:
    """Tokens that name their number, of a life that the test sets."""

    def __init__(self, monotonic: Callable[[], float], life_s: float = 900.0) -> None:
        self._monotonic, self._life_s = monotonic, life_s
        self._token = Token("", 0.0)
        self.issued = 0

    async def token(self, audience: str, left_s: float = 0.0) -> Token:
        if not self._token.value or self._token.ends_at_s - self._monotonic() <= left_s:
            self.issued += 1
            value = f"{audience}-{self.issued}"
            self._token = Token(value, self._monotonic() + self._life_s)
        return self._token

    def discard(self, audience: str) -> None:
        self._token = Token("", 0.0)
