"""Converse: the stream's messages to use cases and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest, SessionOver
from inyeon.runtime.identity.statements import StatementVerifier
from inyeon.runtime.peers import Peers
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon.translation.adapters.post import opening
from inyeon.translation.adapters.wire import caption_to_message, read_grant
from inyeon.translation.app.converse import Conversations
from inyeon.translation.app.desk import Desk
from inyeon.translation.app.ports import Post
from inyeon.translation.app.typing_on import Revision
from inyeon.translation.domain.conversation import Caption, Receipt
from inyeon_protos.translation.v1 import translation_pb2 as pb

_log = structlog.get_logger(__name__)

CHECK_GRANTS_S = 5.0  # a grant lives 120 s; its end is told 5 s late at most


class StreamLine:
    """Line over a live session."""

    def __init__(self, session: Session[pb.ConverseResponse]) -> None:
        self._session = session

    @property
    def user_id(self) -> str:
        """Subject of the token."""
        return self._session.info.user_id

    def show(self, caption: Caption) -> int:
        """As Line says."""
        return self._session.send(pb.ConverseResponse(caption=caption_to_message(caption)))

    def tell_over(self, match_id: str, reason: str) -> None:
        """As Line says."""
        over = pb.ConversationOver(match_id=match_id, reason=reason)
        with contextlib.suppress(SessionOver):
            self._session.send(pb.ConverseResponse(over=over))

    async def acknowledge(self, through: int) -> None:
        """As Line says."""
        await self._session.acknowledge(through)


class DeskLetterbox:
    """Letterbox of one desk."""

    def __init__(self, conversations: Conversations, desk: Desk) -> None:
        self._conversations = conversations
        self._desk = desk

    def caption(self, caption: Caption) -> bool:
        """As Letterbox says."""
        return self._conversations.take(self._desk, caption)

    def receipt(self, receipt: Receipt) -> bool:
        """As Letterbox says."""
        return self._desk.receipt(receipt)

    def arrival(self, match_id: str, user_id: str, name: str, *, answer: bool) -> bool:
        """As Letterbox says."""
        return self._desk.partner_arrived(match_id, user_id, name, answer=answer)

    def over(self, match_id: str, reason: str) -> bool:
        """As Letterbox says."""
        return self._desk.end(match_id, reason)


@dataclass(frozen=True, slots=True)
class _Open:
    desk: Desk
    loop: asyncio.Task[None]


class ConverseHandler:
    """StreamHandler of Converse. One instance serves all sessions."""

    def __init__(
        self,
        conversations: Conversations,
        post: Post,
        peers: Peers,
        verifier: StatementVerifier,
        clock: Clock,
        count: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._conversations = conversations
        self._post = post
        self._peers = peers
        self._verifier = verifier
        self._clock = clock
        self._count = count
        self._open: dict[tuple[str, int], _Open] = {}

    async def opened(self, session: Session[pb.ConverseResponse]) -> None:
        """A desk for the stream. What is not confirmed follows when the grant has been shown."""
        info = session.info
        desk = Desk(
            StreamLine(session),
            info.session_id,
            info.resume_after,
            self._post,
            resumed=info.resumed,
        )
        loop = asyncio.get_running_loop().create_task(desk.run())
        loop.add_done_callback(lambda done: _end_if_broken(session, done))
        self._open[info.user_id, info.epoch] = _Open(desk, loop)
        letterbox = DeskLetterbox(self._conversations, desk)
        self._peers.hold(info.user_id, info.epoch, opening(letterbox))
        self._count(len(self._open))

    async def received(
        self, session: Session[pb.ConverseResponse], sequence: int, message: pb.ConverseRequest
    ) -> None:
        """A grant or an utterance. Raises StatementRefused, GrantMissing, TooManyHeld."""
        desk = self._desk(session)
        kind = message.WhichOneof("kind")
        if kind == "grant":
            grant = read_grant(self._verifier, message.grant.grant, self._clock.now())
            await self._conversations.grant(desk, sequence, grant, message.grant.display_name)
        elif kind == "utterance":
            await self._conversations.say(desk, sequence, _revision(message.utterance))
        else:
            raise InvalidRequest("the message says nothing", field="kind")

    async def client_received(self, session: Session[pb.ConverseResponse], through: int) -> None:
        """Finals up to here are on the device."""
        self._conversations.confirmed(self._desk(session), through)

    async def closed(self, session: Session[pb.ConverseResponse], reason: CloseReason) -> None:
        """The desk goes; its conversation stays until the match is over."""
        info = session.info
        self._peers.release(info.user_id, info.epoch)
        gone = self._open.pop((info.user_id, info.epoch), None)
        if gone is not None:
            gone.loop.cancel()
            await asyncio.gather(gone.loop, return_exceptions=True)
        self._count(len(self._open))

    async def watch_grants(self) -> None:
        """Background loop: ends conversations whose grant was not renewed."""
        while True:
            await self._clock.sleep(CHECK_GRANTS_S)
            self._conversations.check_grants([entry.desk for entry in self._open.values()])

    def _desk(self, session: Session[pb.ConverseResponse]) -> Desk:
        return self._open[session.info.user_id, session.info.epoch].desk


def _end_if_broken(session: Session[pb.ConverseResponse], loop: asyncio.Task[None]) -> None:
    """A stream without its loop would hold everything for ever: it ends, and the device resumes."""
    if not loop.cancelled() and (error := loop.exception()) is not None:
        _log.error("converse.loop_failed", error=type(error).__name__)
        session.end(CloseReason.FAILED)


def _revision(message: pb.Utterance) -> Revision:
    return Revision(
        segment_id=message.segment_id,
        revision=message.revision,
        text=message.text,
        is_final=message.is_final,
        hint=message.language_hint,
    )
