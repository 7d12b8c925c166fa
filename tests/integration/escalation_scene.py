"""A platform in this process, devices on it, and models that say what a test wants.

The scripted models answer by the embedding they are given. No picture is behind any score or
embedding here.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from inyeon.inference.port import BankEntry, BankHit, EmbeddingAnswer, ImageVote, Inference, SpaceId
from inyeon.moderation.adapters.models import OpenModels
from inyeon.moderation.bootstrap import build
from inyeon.moderation.settings import ModerationSettings
from inyeon.moderation.worker import build_worker
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import InvalidRequest, Unavailable
from inyeon.runtime.harness import Build, Ports, run
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.service import Ground, Service
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.common.v1 import stream_pb2, vector_pb2
from inyeon_protos.moderation.v1 import review_pb2, review_pb2_grpc, safety_pb2, safety_pb2_grpc

SPACE = SpaceId("content-pca-64", "1", 64)
WAIT_S = 20.0  # most of it is slack for a loaded machine
CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
M = TypeVar("M", bound=Message)
T = TypeVar("T")


class ScriptedModels:
    """Inference whose head says Porn where the first number of the embedding is the largest, and
    Neutral where the second is; with a real nearest-neighbour search over what it was given."""

    def __init__(self) -> None:
        self.away = False
        self.entries: list[BankEntry] = []
        self.asked = 0

    @property
    def degraded(self) -> bool:
        return self.away

    async def judge_embedding(
        self, space: SpaceId, embedding: NDArray[np.float32], budget_s: float
    ) -> EmbeddingAnswer:
        self.asked += 1
        if self.away:
            raise Unavailable("no models", reason="INFERENCE_UNAVAILABLE")
        if space != SPACE:
            raise InvalidRequest("no head knows this space", field="space")
        certain = {0: "Porn", 1: "Neutral"}.get(int(np.argmax(embedding)))
        scores = np.full(5, 0.2 if certain is None else 0.01, np.float32)
        if certain is not None:
            scores[CLASSES.index(certain)] = 0.96
        hits = [
            BankHit(entry.bank, entry.entry_id, _cosine(entry.embedding, embedding))
            for entry in self.entries
            if entry.space == space
        ]
        return EmbeddingAnswer(tuple(hits), CLASSES, scores, ("scripted@1",))

    async def judge_image(
        self, picture: NDArray[np.uint8], budget_s: float
    ) -> tuple[ImageVote, ...]:
        raise Unavailable("no image models", reason="INFERENCE_UNAVAILABLE")

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        self.entries = list(entries)

    async def ready(self) -> bool:
        return not self.away

    async def close(self) -> None:
        return


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def embedding(*numbers: int) -> vector_pb2.Vector:
    steps = np.zeros(64, np.int8)
    steps[: len(numbers)] = numbers
    space = vector_pb2.EmbeddingSpace(
        model="content-pca-64",
        version="1",
        dims=64,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    return vector_pb2.Vector(space=space, data=struct.pack("<f", 0.05) + steps.tobytes())


PORN, NEUTRAL, MIXED = embedding(100, 3), embedding(3, 100), embedding(1, 2, 100, 50)


@dataclass
class Device:
    """One device on Observe: sends windows, remembers what it is told."""

    address: str
    token: str
    user_id: str = ""
    session_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    told: list[tuple[str, str]] = field(default_factory=list)
    verdict: str = ""
    _sequence: int = 0
    _call: Any = None
    _reading: asyncio.Task[None] | None = None
    _channel: Any = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        self._channel = grpc.aio.insecure_channel(self.address)
        stub = safety_pb2_grpc.SafetyServiceStub(self._channel)
        self._call = stub.Observe(metadata=(("authorization", f"Bearer {self.token}"),))
        opening = stream_pb2.StreamOpen(
            client_id="c", session_id=self.session_id, protocol_version=1
        )
        control = stream_pb2.ClientControl(open=opening)
        await self._call.write(safety_pb2.ObserveRequest(control=control))
        first = await self._call.read()
        assert first.control.HasField("opened")
        self._reading = asyncio.create_task(self._read())

    async def unsure(self, seen: vector_pb2.Vector | None, count: int = 3) -> None:
        """Windows in the unsure band, enough of them to escalate."""
        for _ in range(count):
            await self.window([0.0, 0.0, 0.4, 0.6, 0.0], seen)

    async def window(self, mean: list[float], seen: vector_pb2.Vector | None) -> None:
        self._sequence += 1
        request = safety_pb2.ObserveRequest(sequence=self._sequence)
        window = request.window
        window.subject = safety_pb2.OBSERVED_SUBJECT_MYSELF
        window.started_at.GetCurrentTime()
        window.duration.FromTimedelta(timedelta(seconds=1))
        window.presence = safety_pb2.PRESENCE_STATE_ALONE
        window.scores.model, window.scores.version, window.scores.frames = "m", "1", 2
        window.scores.mean.extend(mean)
        window.scores.max.extend(mean)
        if seen is not None:
            window.embedding.CopyFrom(seen)
        await self._call.write(request)

    async def until(self, seen: Callable[[Device], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not seen(self):
                self._news.clear()
                await self._news.wait()

    @property
    def open_still(self) -> bool:
        """The stream has not ended."""
        return not self._call.done()

    async def close(self) -> None:
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._channel.close()

    async def _read(self) -> None:
        while (message := await self._call.read()) is not grpc.aio.EOF:
            if message.HasField("directive"):
                name = safety_pb2.DirectiveAction.Name(message.directive.action)
                self.told.append((name.removeprefix("DIRECTIVE_ACTION_"), message.directive.reason))
            if message.HasField("verdict"):
                self.verdict = safety_pb2.Verdict.Name(message.verdict.verdict).removeprefix(
                    "VERDICT_"
                )
            self._news.set()


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """The first answer that says something, within WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if found := await ask():
                return found
            await asyncio.sleep(0.05)


async def now(value: T) -> T:
    """A value where an answer is awaited."""
    return value


@dataclass
class Platform:
    """Moderation as its processes run it, in this one."""

    settings: RuntimeSettings
    address: str
    models: ScriptedModels
    ground: Ground

    def token(self, subject: str, *roles: str) -> str:
        issuer = Keyring(self.settings, SystemClock()).token_issuer()
        return issuer.issue(subject, audience_of("moderation"), roles=roles)

    @asynccontextmanager
    async def device(self, user_id: str) -> AsyncIterator[Device]:
        made = Device(self.address, self.token(user_id), user_id)
        await made.open()
        try:
            yield made
        finally:
            await made.close()

    async def cases(self, user_id: str) -> list[review_pb2.Case]:
        """Open cases about somebody."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = review_pb2_grpc.ReviewServiceStub(channel)
            request = review_pb2.ListCasesRequest(state=review_pb2.CASE_STATE_OPEN, page_size=200)
            answer = await stub.ListCases(request, metadata=self._reviewer(), timeout=10)
            return [case for case in answer.cases if case.user_id == user_id]

    async def one_case(self, user_id: str) -> review_pb2.Case:
        found = await eventually(lambda: self.cases(user_id))
        assert len(found) == 1
        return found[0]

    async def confirm(self, case_id: str) -> None:
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = review_pb2_grpc.ReviewServiceStub(channel)
            request = review_pb2.DecideCaseRequest(
                case_id=case_id, decision=review_pb2.DECISION_CONFIRM
            )
            await stub.DecideCase(request, metadata=self._reviewer(), timeout=10)

    def _reviewer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token('r', 'reviewer')}"),)


def whole(models: Inference) -> Build:
    """As `inyeon up`: the worker inside."""

    async def moderation(ground: Ground) -> Service:
        return await build(ModerationSettings(), ground, with_worker=True, models=given(models))

    return moderation


def alone(ground: Ground) -> Awaitable[Service]:
    """As `inyeon serve moderation`."""
    return build(ModerationSettings(), ground)


def worker(models: Inference) -> Build:
    """As `inyeon serve moderation-worker`."""
    return lambda ground: build_worker(ModerationSettings(), ground, given(models))


def given(models: Inference) -> OpenModels:
    """Opens these."""
    return lambda ground: now(models)


@asynccontextmanager
async def platform_on(
    settings: RuntimeSettings, models: Inference | None = None, role: Build | None = None
) -> AsyncIterator[Platform]:
    """One process, ready; its end must be an orderly one. Without a role: moderation with its
    worker and `models` (scripted ones where there are none)."""
    scripted = ScriptedModels()
    builder = role or whole(models or scripted)
    stop, ports = asyncio.Event(), asyncio.Queue[Ports]()
    grounds: list[Ground] = []

    async def built(ground: Ground) -> Service:
        grounds.append(ground)
        return await builder(ground)

    running = asyncio.create_task(run([built], settings, stop=stop, started=ports.put_nowait))
    waiting = asyncio.create_task(ports.get())
    try:
        async with asyncio.timeout(60):
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        yield Platform(settings, f"127.0.0.1:{waiting.result().grpc}", scripted, grounds[0])
    finally:
        waiting.cancel()
        stop.set()
        assert await running == 0


def settings_of(folder: Path, **engines: Any) -> RuntimeSettings:
    """Any free ports."""
    return RuntimeSettings(
        data_dir=folder,
        grpc_port=0,
        internal_port=0,
        http_port=0,
        log_level="WARNING",
        **engines,
    )


def person() -> str:
    return f"p-{uuid.uuid4().hex[:12]}"


async def about(platform: Platform, topic: str, kind: type[M], user_id: str) -> list[M]:
    """What the log holds now of one kind about somebody."""
    reader = await platform.ground.log.read_all([topic])
    found: list[M] = []
    try:
        async with asyncio.timeout(WAIT_S):
            while not await reader.caught_up():
                for record in await reader.poll(1_000, 0.2):
                    if is_type(record, kind):
                        message = decode(record, kind)
                        found += [message] if getattr(message, "user_id", "") == user_id else []
    finally:
        await reader.close()
    return found


def gauge(platform: Platform, name: str) -> float:
    value = platform.ground.metrics.get_sample_value(name)
    assert value is not None
    return value
