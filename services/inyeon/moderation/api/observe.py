"""Observe: the stream's messages to use cases and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from inyeon.moderation.adapters.neighbours import receiver
from inyeon.moderation.adapters.wire import VERDICTS, directive_to, timestamp, window_from
from inyeon.moderation.app.heeding import Heeding
from inyeon.moderation.app.live import LiveSession
from inyeon.moderation.app.observe import Observe
from inyeon.moderation.app.ports import SignedPass
from inyeon.moderation.domain.directive import Directive
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import WindowRefused
from inyeon.runtime.errors import SessionOver
from inyeon.runtime.peers import Peers
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon_protos.moderation.v1.safety_pb2 import (
    ObserveRequest,
    ObserveResponse,
    PolicyInForce,
    VerdictChanged,
)


class StreamDevice:
    """Device on a live stream. A stream that ended meanwhile is no error: the next one gets the
    standing state."""

    def __init__(self, session: Session[ObserveResponse]) -> None:
        self._session = session

    def told_policy(self, policy: Policy) -> None:
        told = PolicyInForce(
            name=policy.name, version=policy.version, cover_at=dict(policy.cover_at)
        )
        self._send(ObserveResponse(policy=told))

    def told_verdict(
        self, verdict: Verdict, reason: str, policy_version: str, at: datetime
    ) -> None:
        told = VerdictChanged(
            verdict=VERDICTS[verdict],
            reason=reason,
            policy_version=policy_version,
            changed_at=timestamp(at),
        )
        self._send(ObserveResponse(verdict=told))

    def directed(self, directive: Directive) -> None:
        self._send(ObserveResponse(directive=directive_to(directive)))

    def acknowledged(self, through: int, safety_pass: SignedPass | None) -> None:
        carrier = None
        if safety_pass is not None:
            carrier = ObserveResponse()
            carrier.safety_pass.key_id = safety_pass.key_id
            carrier.safety_pass.payload = safety_pass.payload
            carrier.safety_pass.signature = safety_pass.signature
        self._session.tell_acknowledged(through, carrier)

    def superseded(self) -> None:
        self._session.end(CloseReason.SUPERSEDED)

    def _send(self, message: ObserveResponse) -> None:
        try:
            self._session.send(message)
        except SessionOver:
            return


class ObserveHandler:
    """StreamHandler of Observe. One instance serves all sessions."""

    def __init__(
        self,
        observe: Observe,
        heeding: Heeding,
        peers: Peers,
        count: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._observe = observe
        self._heeding = heeding
        self._peers = peers
        self._count = count
        self._live: dict[tuple[str, int], LiveSession] = {}

    async def opened(self, session: Session[ObserveResponse]) -> None:
        """Starts the session and tells what stands. Raises Overloaded, StoreUnavailable."""
        info = session.info
        live = await self._observe.open(
            info.user_id,
            info.session_id,
            info.epoch,
            session.claims.device_key,
            StreamDevice(session),
        )
        self._live[info.user_id, info.epoch] = live
        user_id = info.user_id
        self._peers.hold(
            user_id,
            info.epoch,
            receiver(
                lambda directive: self._direct(live, directive),
                lambda window: self._observe.corroborate(user_id, window),
            ),
        )
        self._count(len(self._live))
        await self._heeding.opened(live)

    async def received(
        self, session: Session[ObserveResponse], sequence: int, message: ObserveRequest
    ) -> None:
        """One window. Raises WindowRefused, which ends the stream with the field and the reason."""
        if message.WhichOneof("kind") != "window":
            raise WindowRefused(
                "a message of Observe carries a window", reason="KIND_MISSING", field="window"
            )
        info = session.info
        live = self._live.get((info.user_id, info.epoch))
        if live is None or live.over:
            return
        await self._observe.window(live, sequence, window_from(sequence, message.window))

    async def client_received(self, session: Session[ObserveResponse], through: int) -> None:
        """Directives are repeated as standing state at the next open, so nothing is kept for
        this."""

    async def closed(self, session: Session[ObserveResponse], reason: CloseReason) -> None:
        """Lets the session go; what it took in is still committed."""
        info = session.info
        self._peers.release(info.user_id, info.epoch)
        live = self._live.pop((info.user_id, info.epoch), None)
        if live is not None:
            self._observe.close(live)
        self._count(len(self._live))

    @staticmethod
    def _direct(live: LiveSession, directive: Directive) -> bool:
        if live.over:
            return False
        live.device.directed(directive)
        return True
