"""Seek: the stream's messages to the pool's owner and news back."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from inyeon.matching.adapters.teller import SEEK_RESPONSE
from inyeon.matching.api.acks import GroupAcks
from inyeon.matching.api.callers import Caller, Closed, Opened, Said
from inyeon.matching.api.limits import VerbLimits
from inyeon.matching.api.routing import Routing
from inyeon.runtime.errors import SessionOver, Unavailable
from inyeon.runtime.peers import Peers
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse

_log = structlog.get_logger(__name__)


class SeekHandler:
    """StreamHandler of Seek. One instance serves all; a user has one stream, the newest."""

    def __init__(self, routing: Routing, peers: Peers, acks: GroupAcks, limits: VerbLimits) -> None:
        self._limits = limits
        self._routing = routing
        self._peers = peers
        self._acks = acks
        self._held: dict[str, Session[SeekResponse]] = {}

    async def opened(self, session: Session[SeekResponse]) -> None:
        """Tells the current state. Raises Unavailable where nobody owns the pool, and while it is
        being rebuilt."""
        info = session.info
        before = self._held.get(info.user_id)
        if before is not None and before.info.epoch < info.epoch:
            before.end(CloseReason.SUPERSEDED)
        self._held[info.user_id] = session
        self._peers.hold(info.user_id, info.epoch, lambda kind, load: _hand(session, kind, load))
        await self._routing.act(_caller(session), Opened())

    async def received(
        self, session: Session[SeekResponse], sequence: int, message: SeekRequest
    ) -> None:
        """One verb. Raises InvalidRequest, StatementRefused, Overloaded, Unavailable: these end the
        stream with the field and the reason."""
        self._limits.take(session.info.user_id, message.WhichOneof("kind") or "")
        if message.WhichOneof("kind") == "heartbeat":
            await self._routing.beat(_caller(session), Said(message))
        else:
            await self._routing.act(_caller(session), Said(message))
        self._acks.add(session, sequence)

    async def client_received(self, session: Session[SeekResponse], through: int) -> None:
        """News is told again as current state at the next open, so nothing is kept for this."""

    async def closed(self, session: Session[SeekResponse], reason: CloseReason) -> None:
        """Nobody is proposed to somebody without a stream. Closing for good cancels the ticket."""
        self._acks.drop(session)
        if not self._let_go(session):
            return
        try:
            await self._routing.act(_caller(session), Closed(reason is CloseReason.CLIENT_CLOSED))
        except Unavailable as error:  # the ticket falls silent and ends by itself
            _log.info("seek.left_unheard", reason=error.reason)

    def end_streams(self, ends: Callable[[Caller], bool]) -> None:
        """Nobody here can serve these any more: devices open their streams elsewhere."""
        for session in tuple(self._held.values()):
            if ends(_caller(session)):
                session.end(CloseReason.DRAINING)

    def _let_go(self, session: Session[SeekResponse]) -> bool:
        """False: the user has a newer stream here."""
        user_id = session.info.user_id
        self._peers.release(user_id, session.info.epoch)
        if self._held.get(user_id) is not session:
            return False
        del self._held[user_id]
        return True


def _caller(session: Session[SeekResponse]) -> Caller:
    return Caller(session.info.session_id, session.info.epoch, session.claims)


def _hand(session: Session[SeekResponse], kind: str, payload: bytes) -> bool:
    """A message for the device; False where the stream is over or the message is not ours."""
    if kind != SEEK_RESPONSE:
        return False
    try:
        session.send(SeekResponse.FromString(payload))
    except SessionOver:
        return False
    return True
