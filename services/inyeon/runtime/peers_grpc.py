"""Peers over gRPC: a static list of replicas, asked on their internal port."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from inyeon.runtime.deadlines import remaining_s
from inyeon.runtime.peers import Answer, Delivery, LocalPeers
from inyeon.runtime.tracing import outgoing_metadata
from inyeon_protos.common.v1 import peer_pb2, peer_pb2_grpc

DELIVER_S = 1.0  # for everything: protection must reach a partner's device within the second
CACHED = 100_000  # places of users, about 150 B each

_log = structlog.get_logger(__name__)


class PeerServicer(peer_pb2_grpc.PeerServiceServicer):
    """Answers other replicas for every service of this process."""

    def __init__(self, local: Mapping[str, LocalPeers]) -> None:
        self._local = local

    async def Locate(
        self, request: peer_pb2.LocateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> peer_pb2.LocateResponse:
        """Where a user's stream is, as far as this replica goes."""
        peers = self._local.get(request.service)
        epoch = None if peers is None else peers.epoch_of(request.user_id)
        return peer_pb2.LocateResponse(found=epoch is not None, epoch=epoch or 0)

    async def Deliver(
        self, request: peer_pb2.DeliverRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> peer_pb2.DeliverResponse:
        """Hands a message to a stream held here."""
        peers = self._local.get(request.service)
        accepted = peers is not None and peers.deliver_here(
            request.user_id, request.epoch, request.type, request.payload
        )
        return peer_pb2.DeliverResponse(accepted=accepted)

    async def Ask(
        self, request: peer_pb2.AskRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> peer_pb2.AskResponse:
        """Hands a question to the service."""
        peers = self._local.get(request.service)
        answer = None if peers is None else await peers.answer_here(request.payload)
        return peer_pb2.AskResponse(answered=answer is not None, payload=answer or b"")


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    epoch: int


class RemotePeers:
    """This replica's streams first, then those of the other replicas."""

    def __init__(
        self,
        service: str,
        local: LocalPeers,
        channels: Mapping[str, grpc.aio.Channel],
        token: Callable[[], str],
    ) -> None:
        """`channels`: by address, closed by their maker. `token`: a fresh internal token."""
        self._service = service
        self._local = local
        self._stubs = {a: peer_pb2_grpc.PeerServiceStub(c) for a, c in channels.items()}
        self._token = token
        self._places: OrderedDict[str, _Place] = OrderedDict()

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self._stubs)

    def answer(self, answer: Answer) -> None:
        self._local.answer(answer)

    async def ask(self, address: str, payload: bytes, timeout_s: float) -> bytes | None:
        request = peer_pb2.AskRequest(service=self._service, payload=payload)
        answer = await self._call(self._stubs[address].Ask, address, request, timeout_s)
        return answer.payload if answer is not None and answer.answered else None

    def hold(self, user_id: str, epoch: int, deliver: Delivery) -> None:
        self._places.pop(user_id, None)
        self._local.hold(user_id, epoch, deliver)

    def release(self, user_id: str, epoch: int) -> None:
        self._local.release(user_id, epoch)

    def deliver_here(self, user_id: str, epoch: int, type_name: str, payload: bytes) -> bool:
        return self._local.deliver_here(user_id, epoch, type_name, payload)

    async def deliver(self, user_id: str, type_name: str, payload: bytes) -> bool:
        try:
            async with asyncio.timeout(remaining_s(DELIVER_S)):
                return await self._deliver(user_id, type_name, payload)
        except TimeoutError:
            self._places.pop(user_id, None)
            return False

    async def _deliver(self, user_id: str, type_name: str, payload: bytes) -> bool:
        cached = self._places.get(user_id)
        if cached is not None and await self._hand_over(cached, user_id, type_name, payload):
            return True
        self._places.pop(user_id, None)
        place = await self._locate(user_id)
        here = self._local.epoch_of(user_id)
        if here is not None and (place is None or here >= place.epoch):
            return self._local.deliver_here(user_id, 0, type_name, payload)
        if place is None or not await self._hand_over(place, user_id, type_name, payload):
            return False
        self._remember(user_id, place)
        return True

    async def _locate(self, user_id: str) -> _Place | None:
        """The place with the highest epoch; a replica that does not answer holds nothing."""
        found = await asyncio.gather(*(self._ask(address, user_id) for address in self._stubs))
        places = [place for place in found if place is not None]
        return max(places, key=lambda place: place.epoch, default=None)

    async def _ask(self, address: str, user_id: str) -> _Place | None:
        request = peer_pb2.LocateRequest(user_id=user_id, service=self._service)
        answer = await self._call(self._stubs[address].Locate, address, request)
        return _Place(address, answer.epoch) if answer is not None and answer.found else None

    async def _hand_over(self, place: _Place, user_id: str, type_name: str, data: bytes) -> bool:
        request = peer_pb2.DeliverRequest(
            user_id=user_id, epoch=place.epoch, type=type_name, payload=data, service=self._service
        )
        stub = self._stubs[place.address]
        answer = await self._call(stub.Deliver, place.address, request)
        return answer is not None and bool(answer.accepted)

    async def _call(
        self, method: Any, address: str, request: Any, timeout_s: float = DELIVER_S
    ) -> Any:
        metadata = (("authorization", f"Bearer {self._token()}"), *outgoing_metadata())
        try:
            return await method(request, timeout=remaining_s(timeout_s), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            _log.warning("peer.unreachable", address=address, code=error.code().name)
            return None

    def _remember(self, user_id: str, place: _Place) -> None:
        self._places[user_id] = place
        if len(self._places) > CACHED:
            self._places.popitem(last=False)
