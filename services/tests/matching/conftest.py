"""A whole matching service on a real gRPC port, with devices, over a real log and a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData

from inyeon.matching import bootstrap
from inyeon.matching.adapters.wire import timestamp
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.identity import claims
from inyeon.runtime.identity.keysets import StaticKeys
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.identity.statements import StatementSigner
from inyeon.runtime.identity.statements_pb import seal
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier, audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import Log
from inyeon.runtime.log.topics import EDGES, VERDICTS, all_specs
from inyeon.runtime.peers import LocalPeers
from inyeon.runtime.ratelimit import RateLimiter
from inyeon.runtime.service import Service
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.sql import open_service_store
from inyeon.runtime.telemetry import RpcMetrics
from inyeon_protos.common.v1 import identity_pb2, stream_pb2, vector_pb2
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc
from inyeon_protos.moderation.v1 import safety_pb2

WAIT_S = 10.0  # generous: the machine may be busy; what is waited for comes within a wave


def signed_pass(
    signer: StatementSigner, user: str, device_key: str = ""
) -> identity_pb2.SignedStatement:
    """A pass of 30 s from now."""
    now = SystemClock().now()
    fact = identity_pb2.SafetyPass(
        user_id=user,
        session_id="observing",
        device_key=device_key,
        policy_version="1",
        issued_at=timestamp(now),
        expires_at=timestamp(now + timedelta(seconds=30)),
    )
    return seal(signer, fact)


class LinkedPeers(LocalPeers):
    """Replicas of one process that reach each other; one that is dead (None) answers nobody."""

    def __init__(self, name: str, network: dict[str, LinkedPeers | None]) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.asked = 0
        network[name] = self

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.network if name != self.name)

    async def ask(self, address: str, payload: bytes, timeout_s: float) -> bytes | None:
        self.asked += 1
        other = self.network.get(address)
        return None if other is None else await other.answer_here(payload)

    async def deliver(self, user_id: str, type_name: str, payload: bytes) -> bool:
        alive = [one for one in self.network.values() if one is not None]
        holders = [one for one in alive if one.epoch_of(user_id) is not None]
        newest = max(holders, key=lambda one: one.epoch_of(user_id) or 0, default=self)
        return newest.deliver_here(user_id, 0, type_name, payload)


class Stage:
    """What a harness does, for one service. Also the service's `Ground`."""

    def __init__(
        self, folder: Path, log: Log, beside: Stage | None = None, **settings: Any
    ) -> None:
        """`beside`: another replica, with which it shares keys, log, store and network."""
        self.log = log
        self.clock = SystemClock()
        self.data_dir = folder
        self.replica = "here" if beside is None else "there"
        self.network: dict[str, LinkedPeers | None] = {} if beside is None else beside.network
        self.development = True
        self.settings = MatchingSettings(**({"wave_every_s": 0.02} | settings))
        self.moderation = Ed25519Signer(Ed25519PrivateKey.generate())
        self.matching = Ed25519Signer(Ed25519PrivateKey.generate())
        self.issuer = TokenIssuer(Ed25519PrivateKey.generate(), self.clock)
        self.tokens = TokenVerifier(StaticKeys(json.dumps(self.issuer.jwks())), self.clock)
        if beside is not None:
            self.moderation, self.matching = beside.moderation, beside.matching
            self.issuer, self.tokens = beside.issuer, beside.tokens
        self.metrics = CollectorRegistry()
        self.consumer_metrics = ConsumerMetrics(self.metrics)
        self.port = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._devices: list[Device] = []
        self._versions = 0

    def token_issuer(self) -> TokenIssuer:
        return self.issuer

    async def store(self, service: str, tables: MetaData) -> Store:
        self.opened = await open_service_store(service, tables, self.data_dir, self.clock)
        relay = OutboxRelay(self.opened, self.log, self.clock, owner=f"{self.replica}-relay")
        self._spawn(relay.run())
        return self.opened

    def peers(self, service: str) -> LocalPeers:
        return self._peers

    def signer(self, service: str) -> Ed25519Signer:
        return self.matching

    def verifier(self, service: str) -> Ed25519Verifier:
        return Ed25519Verifier([self.moderation.public_key])

    async def start(self) -> None:
        """Starts the service; after `kill` on the same files, with nothing else kept."""
        await self.log.create_topics(all_specs())
        self.metrics = CollectorRegistry()
        self.consumer_metrics = ConsumerMetrics(self.metrics)
        self._peers = LinkedPeers(self.replica, self.network)
        self.service: Service = await bootstrap.build(self.settings, self)
        access = Access({name: audience_of("matching") for name in self.service.grpc_names})
        limiter = RateLimiter(self.clock)
        gate = Gate(access, self.tokens, limiter, RpcMetrics(self.metrics))
        self.server = grpc.aio.server(interceptors=[gate])
        self.service.bind(self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        for task in self.service.tasks:
            self._spawn(task.run())

    async def kill(self) -> None:
        """As much like kill -9 as one process can do to itself: no device is told. (A process that
        is really killed is in test_matching_killed.py.)"""
        self.network[self.replica] = None
        await self.server.stop(None)
        # The connections are cut by now; what still runs would wait for ever for a closed store.
        if self.service.drain is not None:
            await self.service.drain()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.opened.close()

    async def close(self) -> None:
        for device in self._devices:
            await device.close()
        await self.kill()
        await self.log.close()

    def device(self, user: str, **facts: Any) -> Device:
        """A device of that user; `facts` are claims."""
        told = {"age_band": claims.AgeBand.ADULT, "country": "US"} | facts
        device = Device(self, user, told)
        self._devices.append(device)
        return device

    async def verdict(self, user: str, verdict: str) -> None:
        """Moderation records a verdict."""
        self._versions += 1
        event = events_pb2.VerdictRecorded(
            user_id=user,
            verdict=safety_pb2.Verdict.Value(f"VERDICT_{verdict}"),
            version=self._versions,
        )
        now = self.clock.now()
        record = new_event(VERDICTS, user, event, occurred_at=now, version=self._versions)
        await self.log.publish([record])

    async def edge(self, user: str, other: str) -> None:
        """Moderation records a block."""
        event = events_pb2.EdgeRecorded(user_id=user, other_id=other, kind="BLOCK", version=1)
        now = self.clock.now()
        record = new_event(EDGES, f"{user}/{other}", event, occurred_at=now, version=1)
        await self.log.publish([record])

    def safety_pass(self, user: str, device_key: str = "") -> identity_pb2.SignedStatement:
        """Moderation signs a pass."""
        return signed_pass(self.moderation, user, device_key)

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.ensure_future(work))


class Device:
    """A device's Seek stream: opens, resumes, sends again what was not acknowledged."""

    def __init__(self, stage: Stage, user: str, facts: dict[str, Any]) -> None:
        self.stage = stage
        self.user = user
        self.session = f"session-{user}"
        self.roles: tuple[str, ...] = ()
        self.present = True
        self.passed = True
        self.news: list[matching_pb2.SeekResponse] = []
        self.acknowledged = 0
        self.error: grpc.aio.AioRpcError | None = None
        self.ending: stream_pb2.StreamEnding | None = None
        self._facts = facts
        self._sequence = 0
        self._writing = asyncio.Lock()
        self._grew = asyncio.Event()
        self._channel: grpc.aio.Channel | None = None
        self._work: list[asyncio.Task[None]] = []

    async def open(self) -> Device:
        """Opens or resumes the stream."""
        await self.close()
        token = self.stage.issuer.issue(self.user, audience_of("matching"), **self._facts)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.stage.port}")
        stub = matching_pb2_grpc.MatchingServiceStub(self._channel)
        metadata = (("authorization", f"Bearer {token}"),)
        self._call = stub.Seek(metadata=metadata)
        opening = stream_pb2.StreamOpen(client_id="c", session_id=self.session, protocol_version=1)
        control = stream_pb2.ClientControl(open=opening)
        await self._call.write(matching_pb2.SeekRequest(control=control))
        self._opened = asyncio.Event()
        self._work = [asyncio.create_task(self._read())]
        async with asyncio.timeout(WAIT_S):
            await self._opened.wait()
        return self

    async def close(self) -> None:
        """Breaks the connection."""
        for task in self._work:
            task.cancel()
        for task in self._work:
            with suppress(asyncio.CancelledError):
                await task
        self._work = []
        if self._channel is not None:
            self._call.cancel()
            await self._channel.close()
            self._channel = None

    async def finish(self) -> None:
        """Ends the session for good; the next open is another one."""
        control = stream_pb2.ClientControl(close=stream_pb2.StreamClose())
        async with self._writing:
            await self._call.write(matching_pb2.SeekRequest(control=control))
        await self.until(lambda: self.ending is not None)
        await self.close()

    async def send(self, **kind: Any) -> int:
        """Sends one message; returns its sequence."""
        async with self._writing:  # sequences must reach the wire in order
            self._sequence += 1
            sequence = self._sequence
            await self._call.write(matching_pb2.SeekRequest(sequence=sequence, **kind))
        return sequence

    async def beat(self) -> None:
        """One heartbeat."""
        beat = matching_pb2.Heartbeat(present=self.present)
        device_key = str(self._facts.get("device_key", ""))
        if self.passed:
            beat.safety_pass.CopyFrom(self.stage.safety_pass(self.user, device_key))
        await self.send(heartbeat=beat)

    def keep_beating(self) -> None:
        """Heartbeats from now on, until closed."""

        async def beating() -> None:
            with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
                while True:
                    await self.beat()
                    await asyncio.sleep(0.05)

        self._work.append(asyncio.create_task(beating()))

    async def seek(self, wish: matching_pb2.Wish) -> None:
        """Wishes and waits until that is acknowledged."""
        sequence = await self.send(wish=wish)
        await self.until(lambda: self.acknowledged >= sequence)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds."""
        async with asyncio.timeout(WAIT_S):
            while not holds():
                if self.error is not None:
                    raise self.error
                self._grew.clear()
                await self._grew.wait()

    async def hear(self, kind: str, **fields: Any) -> Any:
        """The first unheard news of that kind whose fields are so; what came before is dropped."""
        found: list[Any] = []

        def heard() -> bool:
            while self.news:
                message = self.news.pop(0)
                told = getattr(message, message.WhichOneof("kind") or "control")
                same = all(getattr(told, name) == value for name, value in fields.items())
                if message.WhichOneof("kind") == kind and same:
                    found.append(told)
                    return True
            return False

        await self.until(heard)
        return found[0]

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self._take(message)
        except grpc.aio.AioRpcError as error:
            self.error = error
        finally:
            self._opened.set()
            self._grew.set()

    def _take(self, message: matching_pb2.SeekResponse) -> None:
        control = message.control
        match control.WhichOneof("kind"):
            case "opened":
                self._sequence = self.acknowledged = control.opened.acknowledged
                self._opened.set()
            case "ack":
                self.acknowledged = max(self.acknowledged, control.ack.through)
            case "ending":
                self.ending = control.ending
            case _:
                self.news.append(message)
        self._grew.set()


def make_wish(
    language: str = "en", numbers: tuple[int, ...] = (9, 1, 1, 0), **more: Any
) -> matching_pb2.Wish:
    """A wish in one language with a small vector."""
    space = vector_pb2.EmbeddingSpace(
        model="test",
        version="1",
        dims=len(numbers),
        encoding=vector_pb2.VECTOR_ENCODING_INT8,
        scale=0.1,
    )
    data = np.array(numbers, np.int8).tobytes()
    return matching_pb2.Wish(
        languages=[matching_pb2.SpokenLanguage(tag=language, level=5)],
        interests=vector_pb2.Vector(space=space, data=data),
        translation_welcome=True,
        **more,
    )


@pytest.fixture(scope="session")
def wish() -> Callable[..., matching_pb2.Wish]:
    return make_wish


@pytest.fixture(scope="session")
def sign_pass() -> Callable[..., identity_pb2.SignedStatement]:
    return signed_pass


@pytest.fixture(scope="session")
def device_type() -> type[Device]:
    return Device


@pytest.fixture
async def stages(
    tmp_path: Path,
) -> AsyncIterator[Callable[..., Coroutine[Any, Any, Stage]]]:
    """Makes and starts stages; `log`, `beside` and settings may be given."""
    made: list[Stage] = []

    async def make(log: Log | None = None, **settings: Any) -> Stage:
        stage = Stage(tmp_path, log or MemoryLog(), **settings)
        made.append(stage)
        await stage.start()
        return stage

    yield make
    for stage in made:
        await stage.close()


@pytest.fixture
async def stage(stages: Callable[..., Coroutine[Any, Any, Stage]]) -> Stage:
    """A started stage over the log in memory."""
    return await stages()
