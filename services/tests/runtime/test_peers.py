"""One contract for peers in this process and over gRPC, and what only several replicas can show."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.identity.keys import load_or_create_key
from inyeon.runtime.identity.tokens import INTERNAL_AUDIENCE
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.keyring import InternalTokens
from inyeon.runtime.peers import LocalPeers, Peers
from inyeon.runtime.peers_grpc import PeerServicer, RemotePeers
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.telemetry import RpcMetrics
from inyeon_protos.common.v1 import peer_pb2, peer_pb2_grpc

pytestmark = pytest.mark.contract

PEER_SERVICE = "inyeon.common.v1.PeerService"


class Inbox:
    """A stream that takes what comes, or does not."""

    def __init__(self, takes: bool = True) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.takes = takes

    def deliver(self, type_name: str, payload: bytes) -> bool:
        if self.takes:
            self.got.append((type_name, payload))
        return self.takes


class Replica:
    """A server that answers for its own streams."""

    def __init__(self, tokens: InternalTokens) -> None:
        self.local = LocalPeers()
        self.tokens = tokens
        self.asked = 0
        self.address = ""
        self.server: Any = None

    async def start(self) -> None:
        access = Access({PEER_SERVICE: INTERNAL_AUDIENCE}, unary=Rate(10_000, 10_000))
        limiter, metrics = RateLimiter(ManualClock()), RpcMetrics(CollectorRegistry())
        gate = Gate(access, self.tokens.verifier(), limiter, metrics)
        self.server = grpc.aio.server(interceptors=[gate])
        outer = self

        class Counting(PeerServicer):
            async def Locate(self, request: Any, context: Any) -> peer_pb2.LocateResponse:
                outer.asked += 1
                return await super().Locate(request, context)

        servicer = Counting({"matching": self.local})
        peer_pb2_grpc.add_PeerServiceServicer_to_server(servicer, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        await self.server.start()

    @asynccontextmanager
    async def beside(self, *others: Replica) -> AsyncIterator[RemotePeers]:
        """This replica's view of the others."""
        async with AsyncExitStack() as stack:
            channels = {}
            for other in others:
                channel = grpc.aio.insecure_channel(other.address)
                channels[other.address] = await stack.enter_async_context(channel)
            yield RemotePeers("matching", self.local, channels, self.tokens.token)


@pytest.fixture
async def replica(tmp_path: Any) -> AsyncIterator[Callable[[], Any]]:
    running: list[Replica] = []
    tokens = InternalTokens(load_or_create_key(tmp_path / "k.pem"), ManualClock(), "replica 1")

    async def start() -> Replica:
        running.append(Replica(tokens))
        await running[-1].start()
        return running[-1]

    yield start
    for one in running:
        await one.server.stop(0)


@pytest.fixture(params=["local", "remote"])
async def peers(request: pytest.FixtureRequest, replica: Any) -> AsyncIterator[Peers]:
    if request.param == "local":
        yield LocalPeers()
        return
    here, there = await replica(), await replica()
    async with here.beside(there) as peers:
        yield peers


async def test_a_held_stream_takes_messages(peers: Peers) -> None:
    inbox = Inbox()
    peers.hold("u1", 3, inbox.deliver)
    assert await peers.deliver("u1", "some.Type", b"x")
    assert inbox.got == [("some.Type", b"x")]


async def test_nobody_takes_what_is_for_nobody(peers: Peers) -> None:
    assert not await peers.deliver("u1", "t", b"")


async def test_a_full_stream_does_not_take(peers: Peers) -> None:
    peers.hold("u1", 1, Inbox(takes=False).deliver)
    assert not await peers.deliver("u1", "t", b"")


async def test_the_higher_epoch_holds(peers: Peers) -> None:
    old, new = Inbox(), Inbox()
    peers.hold("u1", 5, new.deliver)
    peers.hold("u1", 4, old.deliver)
    peers.release("u1", 4)
    assert await peers.deliver("u1", "t", b"")
    assert (len(old.got), len(new.got)) == (0, 1)
    peers.release("u1", 5)
    assert not await peers.deliver("u1", "t", b"")
    peers.release("u1", 5)


async def test_another_replica_is_found_and_remembered(replica: Any) -> None:
    here, there, empty = await replica(), await replica(), await replica()
    inbox = Inbox()
    there.local.hold("u1", 2, inbox.deliver)
    async with here.beside(there, empty) as peers:
        assert await peers.deliver("u1", "t", b"1")
        assert await peers.deliver("u1", "t", b"2")
    assert [payload for _, payload in inbox.got] == [b"1", b"2"]
    assert (there.asked, empty.asked) == (1, 1)


async def test_a_user_who_moved_is_found_again(replica: Any) -> None:
    here, first, second = await replica(), await replica(), await replica()
    old, new = Inbox(), Inbox()
    first.local.hold("u1", 1, old.deliver)
    async with here.beside(first, second) as peers:
        assert await peers.deliver("u1", "t", b"1")
        first.local.hold("u1", 3, old.deliver)  # came back here in between, as another session
        second.local.hold("u1", 4, new.deliver)
        assert await peers.deliver("u1", "t", b"2")
        assert [payload for _, payload in new.got] == [b"2"], "the higher epoch wins"
        peers.hold("u1", 5, old.deliver)
        assert await peers.deliver("u1", "t", b"3")
    assert [payload for _, payload in old.got] == [b"1", b"3"]


async def test_a_replica_that_is_gone_holds_nothing(replica: Any) -> None:
    here, gone, there = await replica(), await replica(), await replica()
    inbox = Inbox()
    there.local.hold("u1", 1, inbox.deliver)
    await gone.server.stop(0)
    async with here.beside(gone, there) as peers:
        assert await peers.deliver("u1", "t", b"")
        await there.server.stop(0)
        assert not await peers.deliver("u1", "t", b"")


async def test_a_replica_that_hangs_costs_no_more_than_the_limit(
    replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inyeon.runtime.peers_grpc.DELIVER_S", 0.2)

    here = await replica()
    fake = Replica(here.tokens)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and never answers
        fake.address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with here.beside(fake) as peers, asyncio.timeout(5):
            assert not await peers.deliver("u1", "t", b"")


async def test_only_replicas_may_ask(replica: Any, identity: Any, refusal: Any) -> None:
    here = await replica()
    token = identity.token("u1", "internal")
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = peer_pb2_grpc.PeerServiceStub(channel)
        request = peer_pb2.LocateRequest(user_id="u1", service="matching")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            metadata = (("authorization", f"Bearer {token}"),)
            await stub.Locate(request, timeout=5, metadata=metadata)
        assert refusal(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED
        unknown = peer_pb2.LocateRequest(user_id="u1", service="other")
        metadata = (("authorization", f"Bearer {here.tokens.token()}"),)
        assert not (await stub.Locate(unknown, timeout=5, metadata=metadata)).found


async def test_an_internal_token_is_renewed_before_its_end(tmp_path: Any) -> None:
    clock = ManualClock()
    tokens = InternalTokens(load_or_create_key(tmp_path / "k.pem"), clock, "r")
    first = tokens.token()
    await clock.advance(12 * 60)
    assert tokens.token() == first
    await clock.advance(61)
    second = tokens.token()
    assert second != first
    claims = await tokens.verifier().verify(second, INTERNAL_AUDIENCE)
    assert claims.roles == {"internal"}


async def _backwards(payload: bytes) -> bytes:
    return payload[::-1]


async def test_a_replica_asks_another_one(replica: Any) -> None:
    here, there = await replica(), await replica()
    async with here.beside(there) as mine, there.beside(here) as theirs:
        assert mine.others == (there.address,)
        assert await mine.ask(there.address, b"abc", 5.0) is None, "nobody said how to answer"
        theirs.answer(_backwards)
        assert await mine.ask(there.address, b"abc", 5.0) == b"cba"
        await there.server.stop(0)
        assert await mine.ask(there.address, b"abc", 5.0) is None


async def test_an_answer_that_fails_or_takes_too_long_is_none(replica: Any) -> None:
    here, there = await replica(), await replica()

    async def never(payload: bytes) -> bytes:
        if payload == b"fail":
            raise ValueError("broken")
        await asyncio.Event().wait()
        return b""

    there.local.answer(never)
    async with here.beside(there) as mine:
        assert await mine.ask(there.address, b"fail", 5.0) is None
        assert await mine.ask(there.address, b"wait", 0.1) is None


async def test_alone_there_is_nobody_to_ask() -> None:
    peers = LocalPeers()
    assert peers.others == ()
    assert await peers.ask("nowhere", b"", 1.0) is None
