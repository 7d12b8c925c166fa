"""News to devices by the ground's peers: to a stream held here or at another replica."""

from __future__ import annotations

from inyeon.matching.adapters.wire import news_to
from inyeon.matching.domain.news import News
from inyeon.runtime.peers import Peers
from inyeon_protos.matching.v1.matching_pb2 import SeekResponse

SEEK_RESPONSE = SeekResponse.DESCRIPTOR.full_name


class PeerTeller:
    """Tells by `Peers.deliver`, which keeps its own deadline of a second.

    A stream that is held here is told without asking the others for a newer one: whoever tells is
    the owner of the pool, and has heard of the newer one when it was opened.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def tell(self, user_id: str, news: News) -> bool:
        payload = news_to(news, user_id).SerializeToString()
        if self._peers.deliver_here(user_id, 0, SEEK_RESPONSE, payload):
            return True
        return await self._peers.deliver(user_id, SEEK_RESPONSE, payload)
