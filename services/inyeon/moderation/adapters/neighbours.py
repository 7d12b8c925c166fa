"""Directives and partner windows on their way to whichever replica holds the stream, as protobuf
through the ground's peers."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import DecodeError

from inyeon.moderation.adapters.wire import directive_from, directive_to, window_from, window_to
from inyeon.moderation.domain.directive import Directive
from inyeon.moderation.domain.observation import Window
from inyeon.moderation.errors import WindowRefused
from inyeon.runtime.peers import Delivery, Peers
from inyeon_protos.moderation.v1.safety_pb2 import Directive as DirectiveMessage
from inyeon_protos.moderation.v1.safety_pb2 import ObservationWindow

DIRECTIVE = DirectiveMessage.DESCRIPTOR.full_name
WINDOW = ObservationWindow.DESCRIPTOR.full_name


class PeerNeighbours:
    """Neighbours over Peers."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def direct(self, user_id: str, directive: Directive) -> bool:
        payload = directive_to(directive).SerializeToString()
        return await self._peers.deliver(user_id, DIRECTIVE, payload)

    async def corroborate(self, user_id: str, window: Window) -> bool:
        payload = window_to(window).SerializeToString()
        return await self._peers.deliver(user_id, WINDOW, payload)


def receiver(
    direct: Callable[[Directive], bool], corroborate: Callable[[Window], bool]
) -> Delivery:
    """What this replica does with deliveries for one user's stream; anything it cannot read is not
    taken."""

    def deliver(type_name: str, payload: bytes) -> bool:
        try:
            if type_name == DIRECTIVE:
                return direct(directive_from(DirectiveMessage.FromString(payload)))
            if type_name == WINDOW:
                return corroborate(window_from(0, ObservationWindow.FromString(payload)))
        except (DecodeError, WindowRefused, KeyError):
            return False
        return False

    return deliver
