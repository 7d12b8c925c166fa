"""A live stream from its server's side: what waits to be sent, and how far both sides are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from inyeon.runtime.errors import InyeonError, Overloaded, SessionOver, SessionSuperseded
from inyeon.runtime.identity.claims import Claims
from inyeon.runtime.streams.port import CloseReason, SessionInfo
from inyeon.runtime.streams.sessions import OpenedSession, SessionStore
from inyeon.runtime.streams.settings import StreamSettings
from inyeon_protos.common.v1 import stream_pb2 as pb

Res = TypeVar("Res", bound=Message)

END_REASONS = {
    CloseReason.CLIENT_CLOSED: pb.STREAM_END_REASON_CLOSED,
    CloseReason.AGE: pb.STREAM_END_REASON_AGE,
    CloseReason.TOKEN_EXPIRED: pb.STREAM_END_REASON_TOKEN_EXPIRED,
    CloseReason.SUPERSEDED: pb.STREAM_END_REASON_SUPERSEDED,
    CloseReason.DRAINING: pb.STREAM_END_REASON_DRAINING,
}
"""Endings that a device is told; it gets status OK with them. DISCONNECTED hears nothing, FAILED
gets the status of its error."""


class LiveSession(Generic[Res]):
    """Implements `Session`. Owned by one `StreamServer`, which alone calls what `Session` lacks."""

    def __init__(
        self,
        info: SessionInfo,
        claims: Claims,
        opened: OpenedSession,
        response_type: type[Res],
        sessions: SessionStore,
        settings: StreamSettings,
    ) -> None:
        self.info = info
        self.claims = claims
        self.received = opened.acknowledged
        self.acknowledged = opened.acknowledged
        self.last_sent = max(info.resume_after, opened.last_sent)
        self.received_by_client = info.resume_after
        self.close_reason: CloseReason | None = None
        self.error: Exception | None = None
        self.over = asyncio.Event()
        self.handler_knows = False
        self.closed = asyncio.Event()
        self.written = asyncio.Event()
        self._response_type = response_type
        self._sessions = sessions
        self._settings = settings
        self._outgoing: deque[Any] = deque()
        self._newest_ack: Any = None
        self._to_write = asyncio.Event()
        self._progress = asyncio.Event()

    def send(self, message: Res) -> int:
        """As in `Session`. The message is taken over; one that was sent before is copied."""
        if self.close_reason is not None:
            raise SessionOver(f"the stream is over: {self.close_reason.value}")
        if len(self._outgoing) >= self._settings.max_outgoing:
            self.fail(Overloaded("the device reads too slowly", reason="DEVICE_TOO_SLOW"))
            raise SessionOver("the stream is over: the device reads too slowly")
        own: Any = message
        if own.sequence:
            own = type(message)()
            own.CopyFrom(message)
        self.last_sent += 1
        own.sequence = self.last_sent
        self._queue(own)
        return self.last_sent

    async def acknowledge(self, through: int, carrier: Res | None = None) -> None:
        """As in `Session`. Raises ValueError for a sequence that was not received."""
        if through > self.received:
            raise ValueError(f"sequence {through} was not received yet")
        try:
            await self._sessions.acknowledge(self.info, through)
        except SessionSuperseded:
            self.end(CloseReason.SUPERSEDED)
            raise
        self.tell_acknowledged(through, carrier)

    def tell_acknowledged(self, through: int, carrier: Res | None = None) -> None:
        """As in `Session`. Overwrites an acknowledgement that still waits at the queue's end."""
        if self.close_reason is not None:
            return
        self.acknowledged = max(self.acknowledged, through)
        self._progress.set()
        if self._outgoing and self._outgoing[-1] is self._newest_ack:
            if carrier is None:
                self._newest_ack.control.ack.through = self.acknowledged
                return
            self._outgoing.pop()
        ack: Any = self._response_type() if carrier is None else carrier
        ack.control.ack.through = self.acknowledged
        self._newest_ack = ack
        self._queue(ack)

    def end(self, reason: CloseReason) -> None:
        """As in `Session`; only the first ending counts."""
        if reason is CloseReason.FAILED:
            self.fail(InyeonError("the service ended the stream", reason="STREAM_FAILED"))
        elif reason is CloseReason.DISCONNECTED:
            self._finish(reason)
        elif self.close_reason is None:
            ending: Any = self._response_type()
            ending.control.ending.reason = END_REASONS[reason]
            self._queue(ending)
            self._finish(reason)

    def end_to_retry(self, reason: CloseReason, retry_after_s: float) -> None:
        """Ends with a planned reason and tells the device how long to wait."""
        self.end(reason)
        if self._outgoing and self._outgoing[-1].control.HasField("ending"):
            ending = self._outgoing[-1].control.ending
            ending.retry_after.FromTimedelta(timedelta(seconds=retry_after_s))

    def fail(self, error: Exception) -> None:
        """Ends with an error; what still waits is dropped, as the device cannot count on it."""
        if isinstance(error, SessionSuperseded):
            self.end(CloseReason.SUPERSEDED)
        elif self.close_reason is None:
            self.error = error
            self._outgoing.clear()
            self._finish(CloseReason.FAILED)

    def tell_opened(self, token_s: float, max_age_s: float) -> None:
        """Queues StreamOpened."""
        message: Any = self._response_type()
        opened = message.control.opened
        opened.epoch = self.info.epoch
        opened.acknowledged = self.acknowledged
        opened.max_in_flight = self._settings.max_in_flight
        opened.token_expires_in.FromTimedelta(timedelta(seconds=max(0.0, token_s)))
        opened.max_age.FromTimedelta(timedelta(seconds=max_age_s))
        self._queue(message)

    async def room_for(self, sequence: int) -> None:
        """Returns when `sequence` is within the messages that may be unacknowledged."""
        while sequence - self.acknowledged > self._settings.max_in_flight:
            self._progress.clear()
            await self._progress.wait()

    async def outgoing(self) -> AsyncIterator[Res]:
        """What is to be written, until the stream is over and nothing waits."""
        while True:
            while self._outgoing:
                yield self._outgoing.popleft()
            if self.close_reason is not None:
                return
            self._to_write.clear()
            await self._to_write.wait()

    def _queue(self, message: Any) -> None:
        self._outgoing.append(message)
        self._to_write.set()

    def _finish(self, reason: CloseReason) -> None:
        if self.close_reason is None:
            self.close_reason = reason
            self._to_write.set()
            self.over.set()
