"""News to devices by the ground's peers: to a stream held here or at another replica."""

from __future__ import annotations

from inyeon.matching.adapters.wire import news_to
from inyeon.matching.domain.news import News
from inyeon.runtime.peers import Peers
from inyeon_protos.matching.v1.matching_pb2 import SeekResponse

SEEK_RESPONSE = SeekResponse.DESCRIPTOR.full_name


class PeerTeller:
    """Tells by `Peers.deliver`, which keeps its own deadline of a second."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def tell(self, user_id: str, news: News) -> bool:
        payload = news_to(news, user_id).SerializeToString()
        return await self._peers.deliver(user_id, SEEK_RESPONSE, payload)
