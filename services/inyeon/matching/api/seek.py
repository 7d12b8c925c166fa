"""Seek: the stream's messages to use cases and back."""

from __future__ import annotations

import asyncio

from inyeon.matching.adapters.teller import SEEK_RESPONSE
from inyeon.matching.adapters.wire import attention_from, wish_from
from inyeon.matching.api.acks import GroupAcks
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import end_match
from inyeon.matching.app.heartbeat import heartbeat, leave
from inyeon.matching.app.ports import SignedPass
from inyeon.matching.app.seek import seek
from inyeon.matching.app.state import tell_state
from inyeon.matching.app.why import ask_why
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.people import AgeBand, Gender, Person, country_index
from inyeon.matching.domain.refusals import WishRefused
from inyeon.runtime.errors import InvalidRequest, SessionOver, Unavailable
from inyeon.runtime.identity.claims import Claims
from inyeon.runtime.peers import Peers
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse

REBUILD_TIMEOUT_S = 5.0
"""A start rebuilds the pool from 90 s of tickets in far less; a device tries again after it."""


class SeekHandler:
    """StreamHandler of Seek. One instance serves all; a user has one stream, the newest."""

    def __init__(self, desk: Desk, peers: Peers, acks: GroupAcks) -> None:
        self._desk = desk
        self._peers = peers
        self._acks = acks
        self._held: dict[str, Session[SeekResponse]] = {}

    async def opened(self, session: Session[SeekResponse]) -> None:
        """Tells the current state. Raises Unavailable where another replica owns the pool, and
        while it is being rebuilt."""
        await self._rebuilt()
        info = session.info
        before = self._held.get(info.user_id)
        if before is not None and before.info.epoch < info.epoch:
            before.end(CloseReason.SUPERSEDED)
        self._held[info.user_id] = session
        self._peers.hold(info.user_id, info.epoch, lambda kind, load: _hand(session, kind, load))
        await tell_state(self._desk, info.user_id)

    async def received(
        self, session: Session[SeekResponse], sequence: int, message: SeekRequest
    ) -> None:
        """One verb. Raises InvalidRequest, StatementRefused, Overloaded, Unavailable: these end the
        stream with the field and the reason."""
        user_id = session.info.user_id
        match message.WhichOneof("kind"):
            case "wish":
                await self._seek(session, message.wish)
            case "heartbeat":
                await self._heartbeat(session, message.heartbeat)
                self._acks.add(session, sequence)
                return
            case "cancel":
                await cancel(self._desk, user_id)
            case "end_match":
                ended = message.end_match
                reason = EndReason(int(ended.reason))
                await end_match(self._desk, user_id, ended.match_id, reason)
            case "why_waiting":
                await ask_why(self._desk, user_id)
            case _:
                raise InvalidRequest("a message of Seek says something", field="kind")
        await session.acknowledge(sequence)

    async def client_received(self, session: Session[SeekResponse], through: int) -> None:
        """News is told again as current state at the next open, so nothing is kept for this."""

    async def closed(self, session: Session[SeekResponse], reason: CloseReason) -> None:
        """Nobody is proposed to somebody without a stream. Closing for good cancels the ticket."""
        user_id = session.info.user_id
        self._acks.drop(session)
        self._peers.release(user_id, session.info.epoch)
        if self._held.get(user_id) is not session:
            return
        del self._held[user_id]
        await leave(self._desk, user_id)
        if reason is CloseReason.CLIENT_CLOSED:
            await cancel(self._desk, user_id)

    def end_all(self) -> None:
        """Another replica owns the pool: devices open their streams there."""
        for session in tuple(self._held.values()):
            session.end(CloseReason.DRAINING)

    async def _rebuilt(self) -> None:
        if self._desk.hall.elsewhere:
            raise Unavailable("another replica owns the pool", reason="POOL_ELSEWHERE")
        try:
            async with asyncio.timeout(REBUILD_TIMEOUT_S):
                await self._desk.hall.rebuilt.wait()
        except TimeoutError:
            raise Unavailable("the pool is being rebuilt", reason="REBUILDING") from None

    async def _seek(self, session: Session[SeekResponse], message: matching_pb2.Wish) -> None:
        try:
            wish = wish_from(message)
            person = person_of(session.claims)
        except WishRefused as refused:
            raise InvalidRequest(
                str(refused), reason=refused.reason, field=refused.field
            ) from refused
        await seek(self._desk, person, wish, session.info.session_id)

    async def _heartbeat(
        self, session: Session[SeekResponse], message: matching_pb2.Heartbeat
    ) -> None:
        signed = None
        if message.HasField("safety_pass"):
            carried = message.safety_pass
            signed = SignedPass(carried.key_id, carried.payload, carried.signature)
        claims = session.claims
        seen = attention_from(message)
        await heartbeat(self._desk, claims.subject, claims.device_key, seen, signed)


def person_of(claims: Claims) -> Person:
    """Facts of a token. Raises WishRefused for a country that is none."""
    if claims.country:
        country_index(claims.country, "token.country")
    return Person(
        claims.subject,
        AgeBand[claims.age_band.name],
        claims.country,
        Gender[claims.gender.name],
    )


def _hand(session: Session[SeekResponse], kind: str, payload: bytes) -> bool:
    """A message for the device; False where the stream is over or the message is not ours."""
    if kind != SEEK_RESPONSE:
        return False
    try:
        session.send(SeekResponse.FromString(payload))
    except SessionOver:
        return False
    return True
