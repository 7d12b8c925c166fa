"""Signalling between replicas as the contract's messages."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from inyeon.gateway.app.signalling import Handed, Notice, PartnerIsGone, Relayed
from inyeon.runtime.peers import Peers
from inyeon_protos.edge.v1 import edge_pb2
from inyeon_protos.events.v1 import events_pb2

NOTICE = edge_pb2.PresenceNotice.DESCRIPTOR.full_name
SIGNAL = edge_pb2.Signal.DESCRIPTOR.full_name
GONE = edge_pb2.PartnerGone.DESCRIPTOR.full_name
ENDED = events_pb2.MatchEnded.DESCRIPTOR.full_name


class PeerCarrier:
    """Hands over by Peers."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def hand(self, user_id: str, what: Handed) -> bool:
        """False when no side of that user is connected or it refused."""
        type_name, payload = encode(what)
        return await self._peers.deliver(user_id, type_name, payload)


def encode(what: Handed) -> tuple[str, bytes]:
    """(full name, serialised message)."""
    match what:
        case Notice(match_id, epoch, is_reply):
            message = edge_pb2.PresenceNotice(match_id=match_id, epoch=epoch, is_reply=is_reply)
            return NOTICE, message.SerializeToString()
        case Relayed(match_id, kind, body):
            signal = edge_pb2.Signal(match_id=match_id, kind=_kind(kind), body=body)
            return SIGNAL, signal.SerializeToString()
        case PartnerIsGone(match_id, final):
            if final:
                return ENDED, events_pb2.MatchEnded(match_id=match_id).SerializeToString()
            return GONE, edge_pb2.PartnerGone(match_id=match_id).SerializeToString()


def decode(type_name: str, payload: bytes) -> Handed | None:
    """None for anything that a side does not know; another replica may be newer."""
    try:
        if type_name == NOTICE:
            notice = edge_pb2.PresenceNotice.FromString(payload)
            return Notice(notice.match_id, notice.epoch, notice.is_reply)
        if type_name == SIGNAL:
            signal = edge_pb2.Signal.FromString(payload)
            return Relayed(signal.match_id, signal.kind, signal.body)
        if type_name == GONE:
            return PartnerIsGone(edge_pb2.PartnerGone.FromString(payload).match_id)
        if type_name == ENDED:
            return PartnerIsGone(events_pb2.MatchEnded.FromString(payload).match_id, final=True)
    except DecodeError:
        return None
    return None


def _kind(number: int) -> edge_pb2.SignalKind.ValueType:
    return edge_pb2.SignalKind.ValueType(number)
