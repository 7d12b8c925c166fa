"""The stream protocol, server side, for every stream of every service.

A service makes one `StreamServer` for each streaming method and returns `serve(...)` from it:

    async def Observe(self, request_iterator, context):
        async for answer in self._observe.serve(request_iterator, context):
            yield answer

Three tasks belong to a live stream: gRPC's own, which writes what waits; a reader, in which the
handler runs; and a watcher of age and token. A supervisor ends all three and calls `closed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from secrets import SystemRandom
from typing import Any, Generic, TypeVar

import grpc
import structlog
from google.protobuf.message import Message

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NotAuthenticated,
    Unavailable,
)
from inyeon.runtime.identity.context import current_claims
from inyeon.runtime.identity.tokens import TokenVerifier
from inyeon.runtime.streams.live import LiveSession
from inyeon.runtime.streams.port import CloseReason, SessionInfo, StreamHandler
from inyeon.runtime.streams.sessions import SessionStore, superseded
from inyeon.runtime.streams.settings import StreamSettings
from inyeon.runtime.validation import validate
from inyeon_protos.common.v1 import stream_pb2 as pb

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)

RECHECK_S = 30.0  # tokens end by wall time, which may jump: look at it at least twice a minute
LARGEST_SEQUENCE = 2**53  # 285,000 years of 1,000 messages a second; leaves int64 in the store
DRAIN_S = 20.0  # 15 s for the slowest stream (see StreamSettings) + 5 spare

_log = structlog.get_logger(__name__)


class StreamServer(Generic[Req, Res]):
    """One kind of stream. `name` is what sessions are stored under: observe, seek or converse."""

    def __init__(
        self,
        name: str,
        response_type: type[Res],
        handler: StreamHandler[Req, Res],
        sessions: SessionStore,
        clock: Clock,
        verifier: TokenVerifier,
        settings: StreamSettings | None = None,
    ) -> None:
        self._name = name
        self._response_type = response_type
        self._handler = handler
        self._sessions = sessions
        self._clock = clock
        self._verifier = verifier
        self._settings = settings or StreamSettings()
        self._random = SystemRandom()
        self._live: dict[str, LiveSession[Res]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def open_streams(self) -> int:
        """Streams that are live here now."""
        return len(self._live)

    async def serve(
        self, requests: AsyncIterator[Req], context: grpc.aio.ServicerContext[Req, Res]
    ) -> AsyncIterator[Res]:
        """The whole life of one stream. Raises InyeonError, for the interceptor to map."""
        messages = aiter(requests)
        try:
            live, replaced = await self._open(messages)
        except BaseException:
            await _close_iterator(messages)
            raise
        # From here to the supervisor's start nothing awaits: a cancelled call cannot slip between.
        context.add_done_callback(_ends(live))
        self._start(self._supervise(live, replaced, messages, asyncio.current_task()))
        try:
            async for message in live.outgoing():
                yield message
            await live.closed.wait()
        finally:
            live.end(CloseReason.DISCONNECTED)
            live.written.set()
        if live.error is not None:
            raise live.error

    async def drain(self) -> None:
        """Ends every stream with DRAINING and opens no more; returns within DRAIN_S."""
        self._draining = True
        for live in list(self._live.values()):
            self._end_for_drain(live)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)

    async def _open(
        self, messages: AsyncIterator[Req]
    ) -> tuple[LiveSession[Res], LiveSession[Res] | None]:
        if self._draining:
            raise Unavailable("this replica is going away", reason="DRAINING")
        claims = current_claims()
        opening = await self._first(messages)
        state = await self._sessions.open(
            self._name, claims.subject, opening.client_id, opening.session_id
        )
        info = SessionInfo(
            stream=self._name,
            user_id=claims.subject,
            client_id=opening.client_id,
            session_id=opening.session_id,
            epoch=state.epoch,
            resumed=state.resumed,
            resume_after=opening.resume_after,
            agent_version=opening.agent_version,
        )
        live = LiveSession(info, claims, state, self._response_type, self._sessions, self._settings)
        return live, self._take_over(live)

    async def _first(self, messages: AsyncIterator[Req]) -> pb.StreamOpen:
        try:
            async with asyncio.timeout(self._settings.open_timeout_s):
                first: Any = await anext(messages, None)
        except TimeoutError:
            raise DeadlineExceeded("the stream was not opened", reason="OPEN_TIMEOUT") from None
        if first is None or first.control.WhichOneof("kind") != "open":
            message = "the first message of a stream opens it"
            raise InvalidRequest(message, reason="OPEN_FIRST", field="control.open")
        _check_bare_control(first)
        validate(first)
        opening: pb.StreamOpen = first.control.open
        if opening.resume_after > LARGEST_SEQUENCE:
            raise InvalidRequest("no sequence is that large", field="control.open.resume_after")
        return opening

    def _take_over(self, live: LiveSession[Res]) -> LiveSession[Res] | None:
        """Makes this the session's stream here; ends the one it replaces."""
        replaced = self._live.get(live.info.session_id)
        if replaced is not None:
            if replaced.info.epoch > live.info.epoch:
                raise superseded(live.info)
            replaced.end(CloseReason.SUPERSEDED)
        self._live[live.info.session_id] = live
        return replaced

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervise(
        self,
        live: LiveSession[Res],
        replaced: LiveSession[Res] | None,
        messages: AsyncIterator[Req],
        call: asyncio.Task[Any] | None,
    ) -> None:
        if replaced is not None:
            await replaced.closed.wait()  # a session's `closed` comes before its next `opened`
        work = [
            asyncio.create_task(self._read(live, messages)),
            asyncio.create_task(self._watch(live)),
        ]
        if self._draining:
            self._end_for_drain(live)
        await live.over.wait()
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        await _close_iterator(messages)
        await self._close(live)
        await self._cut(live, call)

    async def _cut(self, live: LiveSession[Res], call: asyncio.Task[Any] | None) -> None:
        """A device that does not read keeps gRPC's task in a write that may never end."""
        try:
            async with asyncio.timeout(self._settings.flush_timeout_s):
                await live.written.wait()
        except TimeoutError:
            if call is not None:
                call.cancel()

    async def _close(self, live: LiveSession[Res]) -> None:
        reason = live.close_reason or CloseReason.FAILED
        if live.handler_knows:
            await self._bounded("closed", self._handler.closed(live, reason))
        await self._bounded("leave", self._sessions.leave(live.info, live.last_sent))
        if self._live.get(live.info.session_id) is live:
            del self._live[live.info.session_id]
        live.closed.set()

    async def _bounded(self, step: str, work: Any) -> None:
        """Closing goes on whatever a step raises: the edge of the stream, so the catch is broad."""
        try:
            async with asyncio.timeout(self._settings.close_timeout_s):
                await work
        except Exception:
            _log.exception("stream.close_failed", step=step, stream=self._name)

    async def _read(self, live: LiveSession[Res], messages: AsyncIterator[Req]) -> None:
        try:
            self._tell_opened(live)
            live.handler_knows = True
            await self._handler.opened(live)
            async for message in messages:
                await self._take(live, message)
            live.end(CloseReason.DISCONNECTED)
        except Exception as error:  # the stream's edge: the interceptor maps and counts it
            live.fail(error)

    def _tell_opened(self, live: LiveSession[Res]) -> None:
        token_s = (live.claims.expires_at - self._clock.now()).total_seconds()
        live.tell_opened(token_s, self._settings.max_age_s * (1 + self._settings.age_jitter))

    async def _take(self, live: LiveSession[Res], message: Any) -> None:
        if message.HasField("control"):
            _check_bare_control(message)
            validate(message)
            await self._take_control(live, message.control)
        else:
            await self._take_payload(live, message)

    async def _take_payload(self, live: LiveSession[Res], message: Any) -> None:
        sequence = message.sequence
        if 0 < sequence <= live.received:
            live.tell_acknowledged(live.acknowledged)
            return
        if sequence != live.received + 1:
            gap = f"expected sequence {live.received + 1}, got {sequence}"
            raise InvalidRequest(gap, reason="SEQUENCE_GAP", field="sequence")
        if message.WhichOneof("kind") is None:
            raise InvalidRequest("the message says nothing", reason="REQUIRED", field="kind")
        validate(message)
        await live.room_for(sequence)
        live.received = sequence
        await self._handler.received(live, sequence, message)

    async def _take_control(self, live: LiveSession[Res], control: pb.ClientControl) -> None:
        match control.WhichOneof("kind"):
            case "renewal":
                await self._renew(live, control.renewal.token)
            case "received":
                await self._client_received(live, control.received.through)
            case "close":
                live.end(CloseReason.CLIENT_CLOSED)
            case "open":
                message = "the stream is open already"
                raise InvalidRequest(message, reason="ALREADY_OPEN", field="control.open")
            case _:
                raise InvalidRequest("the control says nothing", field="control.kind")

    async def _renew(self, live: LiveSession[Res], token: str) -> None:
        claims = await self._verifier.verify(token, live.claims.audience)
        if claims.subject != live.claims.subject:
            message = "the renewed token is somebody else's"
            field = "control.renewal.token"
            raise NotAuthenticated(message, reason="TOKEN_FOREIGN", field=field)
        live.claims = claims

    async def _client_received(self, live: LiveSession[Res], through: int) -> None:
        if through > live.last_sent:
            message = f"nothing was sent after {live.last_sent}"
            raise InvalidRequest(message, field="control.received.through")
        if through > live.received_by_client:
            live.received_by_client = through
            await self._handler.client_received(live, through)

    async def _watch(self, live: LiveSession[Res]) -> None:
        jitter = self._settings.age_jitter
        age_s = self._settings.max_age_s * self._random.uniform(1 - jitter, 1 + jitter)
        end_at = self._clock.monotonic() + age_s
        while True:
            token_s = (live.claims.expires_at - self._clock.now()).total_seconds()
            left_s = end_at - self._clock.monotonic()
            if token_s <= 0:
                return live.end(CloseReason.TOKEN_EXPIRED)
            if left_s <= 0:
                return live.end(CloseReason.AGE)
            await self._clock.sleep(min(token_s, left_s, RECHECK_S))

    def _end_for_drain(self, live: LiveSession[Res]) -> None:
        wait_s = self._random.uniform(0, self._settings.drain_retry_after_s)
        live.end_to_retry(CloseReason.DRAINING, wait_s)


def _ends(live: LiveSession[Any]) -> Any:
    return lambda _: live.end(CloseReason.DISCONNECTED)


async def _close_iterator(messages: AsyncIterator[Any]) -> None:
    """gRPC's iterator is a generator; left to the collector it may outlive its loop."""
    close = getattr(messages, "aclose", None)
    if close is not None:
        await close()


def _check_bare_control(message: Any) -> None:
    """What is about the stream itself carries nothing else, or a payload would be lost quietly."""
    if message.sequence or message.WhichOneof("kind") is not None:
        raise InvalidRequest("a control message carries nothing else", field="control")
