"""The way between two people's streams, over the ground's peers."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.message import DecodeError, Message

from inyeon.runtime.peers import Delivery, Peers
from inyeon.translation.adapters.wire import caption_from_message, caption_to_message
from inyeon.translation.domain.conversation import Caption, Receipt
from inyeon_protos.translation.v1 import translation_pb2 as pb


class Letterbox(Protocol):
    """What one person's stream does with what arrives for it. Everything returns at once."""

    def caption(self, caption: Caption) -> bool:
        """Shown, or not its place."""
        ...

    def receipt(self, receipt: Receipt) -> bool:
        """Noted."""
        ...

    def arrival(self, match_id: str, user_id: str, name: str, *, answer: bool) -> bool:
        """Noted."""
        ...

    def over(self, match_id: str, reason: str) -> bool:
        """Told to the device."""
        ...


class PeersPost:
    """Post over Peers."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def caption(self, user_id: str, caption: Caption) -> bool:
        """As Post says."""
        return await self._send(user_id, caption_to_message(caption))

    async def receipt(self, user_id: str, receipt: Receipt) -> bool:
        """As Post says."""
        message = pb.CaptionReceipt(
            match_id=receipt.match_id, segment_id=receipt.segment_id, revision=receipt.revision
        )
        return await self._send(user_id, message)

    async def arrival(
        self, user_id: str, match_id: str, partner_id: str, name: str, *, answer: bool
    ) -> bool:
        """As Post says."""
        message = pb.PartnerArrived(
            match_id=match_id, user_id=partner_id, display_name=name, answer=answer
        )
        return await self._send(user_id, message)

    async def over(self, user_id: str, match_id: str, reason: str) -> bool:
        """As Post says."""
        return await self._send(user_id, pb.ConversationOver(match_id=match_id, reason=reason))

    async def _send(self, user_id: str, message: Message) -> bool:
        name = message.DESCRIPTOR.full_name
        return await self._peers.deliver(user_id, name, message.SerializeToString())


def opening(letterbox: Letterbox) -> Delivery:
    """What Peers calls for this person; False for what cannot be read."""

    def deliver(type_name: str, payload: bytes) -> bool:
        try:
            return _sort(letterbox, type_name, payload)
        except (DecodeError, ValueError):
            return False

    return deliver


def _sort(letterbox: Letterbox, type_name: str, payload: bytes) -> bool:
    if type_name == pb.Caption.DESCRIPTOR.full_name:
        return letterbox.caption(caption_from_message(pb.Caption.FromString(payload)))
    if type_name == pb.CaptionReceipt.DESCRIPTOR.full_name:
        receipt = pb.CaptionReceipt.FromString(payload)
        return letterbox.receipt(Receipt(receipt.match_id, receipt.segment_id, receipt.revision))
    if type_name == pb.PartnerArrived.DESCRIPTOR.full_name:
        arrived = pb.PartnerArrived.FromString(payload)
        name, answer = arrived.display_name, arrived.answer
        return letterbox.arrival(arrived.match_id, arrived.user_id, name, answer=answer)
    if type_name == pb.ConversationOver.DESCRIPTOR.full_name:
        over = pb.ConversationOver.FromString(payload)
        return letterbox.over(over.match_id, over.reason)
    return False
