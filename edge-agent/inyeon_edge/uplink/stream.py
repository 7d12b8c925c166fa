"""The device's side of the stream protocol: one implementation for Observe, Seek and Converse.

A session lives over many connections. Each begins with `open` and the last handled server sequence;
the platform answers with what it has acknowledged, and what comes after that is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any, Generic

from inyeon_edge.errors import StreamBroken, StreamRefused, UplinkError
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.outbox import Outbox
from inyeon_edge.uplink.protocol import (
    PROTOCOL_VERSION,
    Connection,
    Req,
    Res,
    StreamEvents,
    StreamOver,
    StreamSpec,
    TokenSource,
    Transport,
)
from inyeon_edge.uplink.sender import Outgoing, Sender
from inyeon_edge.uplink.waiting import deadline, first_of
from inyeon_protos.common.v1.stream_pb2 import (
    ServerControl,
    StreamEnding,
    StreamEndReason,
    StreamOpened,
)

AGENT_VERSION = "inyeon-edge 0.1.0"
REFUSALS_BEFORE_DROP = (
    3  # the same head refused so often is at fault itself; what follows it must get through
)
LONGEST_WAIT_S = (
    60.0  # whatever a platform asks for: a person does not wait longer for a sign of life
)

_LOST_SESSION = {"SESSION_FOREIGN", "SEQUENCE_GAP"}  # the platform knows another story: begin anew
_HEALED = {*_LOST_SESSION, "SESSION_FORGOTTEN", "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_MISSING"}
_OVER = {
    StreamEndReason.STREAM_END_REASON_SUPERSEDED: StreamOver.SUPERSEDED,
    StreamEndReason.STREAM_END_REASON_CLOSED: StreamOver.CLOSED,
}


def random_id() -> str:
    """A random id for an installation, a session or a segment: 22 characters of [A-Za-z0-9_-]."""
    return secrets.token_urlsafe(16)


class ResumableStream(Generic[Req, Res]):
    """One session of one stream. `run` holds it; the other methods may be called from any task of
    the loop."""

    def __init__(
        self,
        spec: StreamSpec[Req, Res],
        transport: Transport[Req, Res],
        outbox: Outbox,
        tokens: TokenSource,
        events: StreamEvents[Req, Res],
        clock: Clock,
        backoff: Backoff,
        client_id: str,
        session_id: str = "",
    ) -> None:
        self._spec, self._transport, self._outbox, self._tokens = spec, transport, outbox, tokens
        self._events, self._clock, self._backoff = events, clock, backoff
        self._client_id = client_id
        self.session_id = session_id or random_id()
        self.epoch = 0
        self.is_open = False
        self.reconnects = 0
        self.refused_messages = 0
        self._sender = Sender(outbox)
        self._handled = 0
        self._told_handled = 0
        self._renewal = ""
        self._token_ends_at_s = 0.0
        self._closing = False
        self._stopped = asyncio.Event()
        self._wake = asyncio.Event()
        self._refusals = 0
        self._last_reason = ""
        self._progress_at_s = 0.0

    @property
    def waiting(self) -> int:
        """Kept messages that are not acknowledged."""
        return len(self._outbox)

    def send(self, message: Req, *, goes_first: bool = False) -> int:
        """Keeps a message until it is acknowledged and returns its key. Raises OutboxFull."""
        key = self._outbox.put(message.SerializeToString(), goes_first=goes_first)
        self._wake.set()
        return key

    def say_now(self, message: Req) -> bool:
        """Says something that counts only now; False (and nothing said) while no connection is
        open."""
        if self.is_open:
            self._sender.say_now(message.SerializeToString())
            self._wake.set()
        return self.is_open

    def stop(self) -> None:
        """Leaves at once; the session can be resumed by a later process."""
        self._stopped.set()

    async def close(self) -> None:
        """Ends the session for good: what waits is sent first, all within `close_s`."""
        if self.is_open:
            self._closing = True
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._spec.settings.close_s):
                    await self._stopped.wait()
        self.stop()

    async def run(self) -> StreamOver:
        """Holds the session until it is closed, stopped or opened elsewhere. Raises nothing of the
        network."""
        try:
            while not self._stopped.is_set():
                over = await self._once()
                if over is not None:
                    return over
            return StreamOver.CLOSED
        finally:
            self._stopped.set()

    async def _once(self) -> StreamOver | None:
        """One connection and the wait after it."""
        try:
            ending = await first_of(self._connection(), self._stop_ending())
        except UplinkError as error:
            if error.reason == "SESSION_SUPERSEDED":
                return StreamOver.SUPERSEDED
            wait_s = self._after_trouble(error)
        else:
            if ending.reason in _OVER:
                return _OVER[ending.reason]
            if ending.reason == StreamEndReason.STREAM_END_REASON_TOKEN_EXPIRED:
                self._tokens.discard(self._spec.audience)
            wait_s = ending.retry_after.ToTimedelta().total_seconds() or self._backoff.next_s()
        self.reconnects += 1
        await first_of(self._clock.sleep(min(wait_s, LONGEST_WAIT_S)), self._stopped.wait())
        return None

    async def _stop_ending(self) -> StreamEnding:
        await self._stopped.wait()
        return StreamEnding(reason=StreamEndReason.STREAM_END_REASON_CLOSED)

    async def _connection(self) -> StreamEnding:
        settings = self._spec.settings
        async with deadline(settings.open_s, f"{self._spec.name}: no token"):
            token = await self._tokens.token(self._spec.audience, left_s=5.0)
        self._token_ends_at_s = token.ends_at_s
        connection = self._transport.open(token.value)
        try:
            async with deadline(settings.open_s, f"{self._spec.name}: no answer to open"):
                await connection.write(self._open_message())
                first = _first_control(await connection.read())
            if first.HasField("ending"):
                return first.ending
            self._begin(first.opened)
            return await first_of(
                self._read(connection), self._write(connection), self._renew(), self._watch()
            )
        finally:
            self.is_open = False
            self._sender.closed()
            connection.cancel()  # grpcio >= 1.83 never cancels a dropped call (grpc#43462)

    def _open_message(self) -> Req:
        message = self._spec.request()
        opening = message.control.open
        opening.client_id, opening.session_id = self._client_id, self.session_id
        opening.resume_after = self._handled
        opening.protocol_version, opening.agent_version = PROTOCOL_VERSION, AGENT_VERSION
        return message

    def _begin(self, opened: StreamOpened) -> None:
        if opened.acknowledged < self._sender.acknowledged:
            self._start_over()
            raise StreamBroken("the platform forgot the session", reason="SESSION_FORGOTTEN")
        done = self._sender.opened(opened.acknowledged, opened.max_in_flight)
        expires_in_s = opened.token_expires_in.ToTimedelta().total_seconds()
        if expires_in_s > 0:
            self._token_ends_at_s = self._clock.monotonic() + expires_in_s
        self.epoch, self.is_open = opened.epoch, True
        self._told_handled, self._renewal = self._handled, ""
        self._progress_at_s = self._clock.monotonic()
        if done:
            self._events.acknowledged(done, None)
        for message in self._events.preamble():
            self._sender.say_now(message.SerializeToString())
        self._events.opened(opened.epoch)
        self._wake.set()

    def _start_over(self) -> None:
        self.session_id = random_id()
        self._handled = 0
        self._sender.forget_session()

    async def _read(self, connection: Connection[Req, Res]) -> StreamEnding:
        while True:
            message = await connection.read()
            if message is None:
                raise StreamBroken(f"{self._spec.name}: the platform hung up")
            if not message.HasField("control"):
                self._handle(message)
            elif message.control.HasField("ending"):
                return message.control.ending
            elif message.control.HasField("ack"):
                self._acked(message)

    def _handle(self, message: Res) -> None:
        if message.sequence <= self._handled:
            return
        self._events.received(message)
        self._handled = message.sequence
        self._backoff.reset()
        self._wake.set()

    def _acked(self, message: Res) -> None:
        before = self._sender.in_flight
        done = self._sender.acked(message.control.ack.through)
        if self._sender.in_flight < before:
            self._progress_at_s = self._clock.monotonic()
            self._refusals = 0
            self._last_reason = ""
            self._backoff.reset()
        self._events.acknowledged(done, message)
        self._wake.set()

    async def _write(self, connection: Connection[Req, Res]) -> StreamEnding:
        while True:
            self._wake.clear()
            while (message := self._next_message()) is not None:
                async with deadline(self._spec.settings.write_s, "the connection takes nothing"):
                    await connection.write(message)
            await self._wake.wait()

    def _next_message(self) -> Req | None:
        message = self._spec.request()
        if self._renewal:
            message.control.renewal.token, self._renewal = self._renewal, ""
        elif self._told_handled < self._handled:
            message.control.received.through = self._told_handled = self._handled
        elif outgoing := self._next_outgoing():
            message.ParseFromString(outgoing.payload)
            message.sequence = outgoing.sequence
        elif self._closing and self._sender.is_drained:
            self._closing = False
            message.control.close.SetInParent()
        else:
            return None
        return message

    def _next_outgoing(self) -> Outgoing | None:
        was_idle = not self._sender.in_flight
        outgoing = self._sender.next()
        if outgoing is not None and was_idle:
            self._progress_at_s = self._clock.monotonic()
        return outgoing

    async def _renew(self) -> StreamEnding:
        """Renews the token in band at three quarters of what is left of its life, again and
        again."""
        while True:
            left_s = self._token_ends_at_s - self._clock.monotonic()
            wait_s = max(0.2, left_s * self._spec.settings.renew_at)
            await self._clock.sleep(wait_s)
            with contextlib.suppress(UplinkError, TimeoutError):
                async with asyncio.timeout(self._spec.settings.open_s):
                    token = await self._tokens.token(
                        self._spec.audience, left_s=max(5.0, left_s - wait_s + 1.0)
                    )
                if token.ends_at_s > self._token_ends_at_s:
                    self._token_ends_at_s, self._renewal = token.ends_at_s, token.value
                    self._wake.set()

    async def _watch(self) -> StreamEnding:
        """Finds a half-open connection: something is in flight, yet nothing is acknowledged."""
        stall_s = self._spec.settings.ack_stall_s
        if stall_s is None:
            await asyncio.Event().wait()
        while stall_s is not None:
            await self._clock.sleep(stall_s / 4)
            idle_s = self._clock.monotonic() - self._progress_at_s
            if self._sender.in_flight and idle_s >= stall_s:
                raise StreamBroken(f"{self._spec.name}: nothing acknowledged for {idle_s:.0f} s")
        raise AssertionError("unreachable")

    def _after_trouble(self, error: UplinkError) -> float:
        if error.reason in _HEALED and error.reason != self._last_reason:
            self._backoff.reset()  # what was wrong is put right below: the next try may be soon
        self._last_reason = error.reason
        wait_s = self._backoff.next_s()
        if isinstance(error, StreamRefused):
            wait_s = max(wait_s, error.retry_after_s)
            self._count_refusal(error)
        self._events.troubled(error, wait_s)
        return wait_s

    def _count_refusal(self, error: StreamRefused) -> None:
        if error.reason in _LOST_SESSION:
            self._start_over()
        if error.code == "UNAUTHENTICATED":
            self._tokens.discard(self._spec.audience)
        if error.code == "INVALID_ARGUMENT":
            self._refusals += 1
            if self._refusals >= REFUSALS_BEFORE_DROP and self._sender.give_up_oldest():
                self._refusals = 0
                self.refused_messages += 1


def _first_control(message: Any) -> ServerControl:
    if message is None or not message.HasField("control"):
        raise StreamBroken("no answer to open")
    control: ServerControl = message.control
    if not (control.HasField("opened") or control.HasField("ending")):
        raise StreamBroken("no answer to open")
    return control
