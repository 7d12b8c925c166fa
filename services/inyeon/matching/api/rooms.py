"""How many more tickets a pool takes, here or asked of the replica that owns it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from inyeon.matching.api.acting import Standing
from inyeon.matching.api.forwarding import request_to
from inyeon.runtime.peers import Peers
from inyeon_protos.matching.v1 import forwarding_pb2 as pb

ASK_S = 1.0
"""A replica that does not answer within it takes nobody, as far as this second goes."""


class Owner(Protocol):
    """What this replica is to pools; `Acting` is one."""

    def standing(self, pool: str) -> Standing:
        """As of now."""
        ...

    def room(self, pool: str) -> int:
        """Of a pool that it owns."""
        ...


class PeerRooms:
    """`Rooms` over the floor of this replica and the others."""

    def __init__(self, acting: Owner, peers: Peers) -> None:
        self._acting = acting
        self._peers = peers

    async def room(self, pool: str) -> int:
        if self._acting.standing(pool) is Standing.OWNER:
            return self._acting.room(pool)
        asked = (self._ask(address, pool) for address in self._peers.others)
        return max(await asyncio.gather(*asked), default=0)

    async def _ask(self, address: str, pool: str) -> int:
        answer = await self._peers.ask(address, request_to(pool, ()), ASK_S)
        return 0 if answer is None else int(pb.ForwardResponse.FromString(answer).room)
