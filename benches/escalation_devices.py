"""Simulated devices that escalate, and wait for the directive that follows.

Scores and embeddings are made up, no picture is behind them; where an image is asked for each sends
a drawing of ours. The policy is the shipped one with a short first wait, so that many devices are
CLEAR soon; thresholds, banks and marks are the shipped ones.

Every device is open and CLEAR beforehand and escalates once, as people do: two unsure windows a
second apart, of which the second one raises. Open loop: the moment at which that one was due
counts, not the moment it was sent.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import yaml
from figures import progress
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from inyeon.inference.head import ContentHead
from inyeon.inference.port import SpaceId
from inyeon.moderation.settings import DEFAULT_POLICY
from inyeon_models.pictures import drawing
from inyeon_protos.common.v1 import stream_pb2, vector_pb2
from inyeon_protos.moderation.v1 import review_pb2, review_pb2_grpc, safety_pb2, safety_pb2_grpc

MODELS = Path(os.environ.get("INYEON_MODELS_DIR") or "build/models").resolve()
ANSWER_S = 10.0  # a directive that takes longer is a drop
BETWEEN_S = 1.0  # windows of a device
OPENED_TOGETHER = 128
STEP_S = 0.3  # between two quiet windows: two of them earn the 0.5 s of the bench's policy
EXPLICIT = [0.0, 0.0, 0.1, 0.9, 0.0]
UNSURE = [0.0, 0.0, 0.4, 0.6, 0.0]
QUIET = [0.0, 0.0, 1.0, 0.0, 0.0]
PROTECT = safety_pb2.DIRECTIVE_ACTION_PROTECT
SEND_EVIDENCE = safety_pb2.DIRECTIVE_ACTION_SEND_EVIDENCE

TokenOf = Callable[..., str]
"""Token of a user with roles: `token_of(user_id, *roles)`, for the audience of moderation."""


@dataclass
class Load:
    """What a drive saw. Latencies in seconds, from when the window was due."""

    offered: int = 0
    dropped: int = 0
    """Escalations without a directive within ANSWER_S, or whose picture was refused."""
    latencies: list[float] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    """With images: from the picture sent to the directive."""

    def share(self, quantile: float) -> float:
        """Latency that this share did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else 0.0


def bench_policy(*, images: bool = False) -> str:
    """The shipped policy with a short first wait, as YAML. With `images` evidence is on, the
    head is never certain, so that every escalation ends in a picture, and what both image models
    call the bench's picture, harmless, is what protects."""
    policy = yaml.safe_load(DEFAULT_POLICY.read_text())
    policy["name"] = "bench"
    policy["clearing"] |= {"first_clear_s": 0.5}
    policy["end_match_after_s"] = None
    if images:
        opinions = policy["second_opinion"]
        opinions["evidence"] = True
        opinions["banks"] = []
        for mark in opinions["head"]:
            mark |= {"protect_from": 1.0, "clear_below": 1e-9}
        opinions["image"][0] |= {"classes": ["Neutral"], "protect_from": 0.7}
    return yaml.safe_dump(policy)


@functools.cache
def space_of_devices() -> SpaceId:
    """The space that the built models make and the head reads."""
    return ContentHead.load(MODELS).space


def embedding(seed: int, noise: float = 0.0) -> vector_pb2.Vector:
    """An embedding of the devices' space: one direction for each seed, with noise around it."""
    known = space_of_devices()
    shaken = _direction(seed) + _NOISE.normal(size=known.dims) * noise
    steps = np.clip(np.round(shaken / np.abs(shaken).max() * 127), -127, 127).astype(np.int8)
    space = vector_pb2.EmbeddingSpace(
        model=known.model,
        version=known.version,
        dims=known.dims,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    return vector_pb2.Vector(space=space, data=struct.pack("<f", 0.05) + steps.tobytes())


@functools.cache
def _direction(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=space_of_devices().dims)


_NOISE = np.random.default_rng(4)


class BenchDevice:
    """One simulated device on Observe: becomes CLEAR, escalates, waits for the directive."""

    def __init__(
        self, channel: grpc.aio.Channel, token: str, seed: int, jpeg: bytes | None = None
    ) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)
        # Made beforehand: a real device's cost nothing here.
        self._embedding, self._last_embedding = embedding(seed), embedding(seed, 0.1)
        self._jpeg = jpeg
        self._sequence = 0
        self._call: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._directives: asyncio.Queue[safety_pb2.Directive] = asyncio.Queue(64)
        self._clear = asyncio.Event()

    async def open(self) -> None:
        """Opens the stream and becomes CLEAR."""
        stub = safety_pb2_grpc.SafetyServiceStub(self._channel)
        self._call = stub.Observe(metadata=self._metadata)
        opening = stream_pb2.StreamOpen(
            client_id="bench", session_id=uuid.uuid4().hex, protocol_version=1
        )
        control = stream_pb2.ClientControl(open=opening)
        await self._call.write(safety_pb2.ObserveRequest(control=control))
        await self._call.read()
        self._reading = asyncio.create_task(self._read())
        await self._settle()

    async def _settle(self) -> None:
        """Quiet windows until CLEAR."""
        while not self._clear.is_set():
            await self.send(QUIET)
            try:
                async with asyncio.timeout(STEP_S):
                    await self._clear.wait()
            except TimeoutError:
                continue

    async def prepare(self) -> None:
        """All but the last window of an escalation."""
        await self.send(UNSURE)

    async def escalate(self, load: Load, due_s: float) -> None:
        """The last window of an escalation, and what comes of it."""
        while not self._directives.empty():
            self._directives.get_nowait()
        await self.send(UNSURE, last=True)
        sent_s = 0.0
        try:
            async with asyncio.timeout(ANSWER_S):
                while (told := await self._directives.get()).action != PROTECT:
                    if told.action == SEND_EVIDENCE:
                        sent_s = time.perf_counter()
                        await self._submit(told.directive_id)
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            load.dropped += 1
            progress(f"dropped: {error!r:.200}")
            return
        now_s = time.perf_counter()
        load.latencies.append(now_s - due_s)
        if sent_s:
            load.evidence.append(now_s - sent_s)

    async def send(self, mean: list[float], *, last: bool = False) -> None:
        """One window of a second."""
        self._sequence += 1
        request = safety_pb2.ObserveRequest(sequence=self._sequence)
        window = request.window
        window.subject = safety_pb2.OBSERVED_SUBJECT_MYSELF
        window.started_at.GetCurrentTime()
        window.duration.CopyFrom(Duration(seconds=1))
        window.presence = safety_pb2.PRESENCE_STATE_ALONE
        window.scores.model, window.scores.version, window.scores.frames = "m", "1", 2
        window.scores.mean.extend(mean)
        window.scores.max.extend(mean)
        window.embedding.CopyFrom(self._last_embedding if last else self._embedding)
        await self._call.write(request)

    async def close(self) -> None:
        """Leaves."""
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _submit(self, directive_id: str) -> None:
        if self._jpeg is None:
            return
        request = safety_pb2.SubmitRequest(
            request_id=uuid.uuid4().hex, directive_id=directive_id, consent=True, jpeg=self._jpeg
        )
        stub: Any = safety_pb2_grpc.EvidenceServiceStub(self._channel)
        await stub.Submit(request, metadata=self._metadata, timeout=ANSWER_S)

    async def _read(self) -> None:
        while (message := await self._call.read()) is not grpc.aio.EOF:
            if message.HasField("directive"):
                self._directives.put_nowait(message.directive)
            if message.HasField("verdict") and message.verdict.verdict == safety_pb2.VERDICT_CLEAR:
                self._clear.set()


async def drive(
    address: str,
    token_of: TokenOf,
    *,
    per_s: float,
    seconds: float,
    seed: int = 1,
    jpeg: bytes | None = None,
) -> Load:
    """Escalations at a steady rate, each of another device; returns when the last one is answered
    or dropped."""
    devices = int(per_s * seconds)
    load = Load()
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address)) for _ in range(4)
        ]
        made = [
            BenchDevice(channels[n % 4], token_of(f"bench-{uuid.uuid4().hex[:12]}"), seed, jpeg)
            for n in range(devices)
        ]
        for at in range(0, devices, OPENED_TOGETHER):
            opening = made[at : at + OPENED_TOGETHER]
            await asyncio.gather(*(device.open() for device in opening))
        for device in made:
            stack.push_async_callback(device.close)
        progress(f"{devices} devices are open")
        await _offer(made, load, per_s)
    return load


async def _offer(devices: list[BenchDevice], load: Load, per_s: float) -> None:
    gc.freeze()  # the driver's own stops are none of the platform's
    began_s = time.perf_counter() + BETWEEN_S
    async with asyncio.TaskGroup() as group:
        for number, device in enumerate(devices):
            group.create_task(_once(device, load, began_s + number / per_s))


async def _once(device: BenchDevice, load: Load, due_s: float) -> None:
    await asyncio.sleep(max(0.0, due_s - BETWEEN_S - time.perf_counter()))
    await device.prepare()
    await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
    load.offered += 1
    await device.escalate(load, due_s)


async def confirm_one(address: str, token_of: TokenOf, *, seed: int = 1) -> float:
    """Puts this seed's embedding into a bank, as people do: a device is protected by a rule, a
    reviewer confirms the case, and other devices are covered by the match. Returns the seconds from
    the confirmation to the first match."""
    user_id = f"bench-{uuid.uuid4().hex[:12]}"
    reviewer = (("authorization", f"Bearer {token_of('bench-reviewer', 'reviewer')}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        device = BenchDevice(channel, token_of(user_id), seed)
        await device.open()
        for _ in range(4):
            await device.send(EXPLICIT)
        stub: Any = review_pb2_grpc.ReviewServiceStub(channel)
        await asyncio.sleep(1.0)  # the case is committed within half a second
        asking = review_pb2.ListCasesRequest(state=review_pb2.CASE_STATE_OPEN, page_size=200)
        page = await stub.ListCases(asking, metadata=reviewer, timeout=ANSWER_S)
        mine = [one for one in page.cases if one.user_id == user_id]
        [case] = [one for one in mine if one.reason == "PORN_SUSTAINED"]
        deciding = review_pb2.DecideCaseRequest(
            case_id=case.case_id, decision=review_pb2.DECISION_CONFIRM
        )
        await stub.DecideCase(deciding, metadata=reviewer, timeout=ANSWER_S)
        await device.close()
        began_s = time.perf_counter()
        while True:
            probe = BenchDevice(channel, token_of(f"bench-{uuid.uuid4().hex[:12]}"), seed)
            await probe.open()
            await probe.prepare()
            seen = Load()
            async with asyncio.timeout(60):
                await _probe(probe, seen)
            await probe.close()
            if seen.latencies:
                return time.perf_counter() - began_s


async def _probe(device: BenchDevice, seen: Load) -> None:
    """An escalation that is given a second."""
    try:
        async with asyncio.timeout(1.0):
            await device.escalate(seen, time.perf_counter())
    except TimeoutError:
        return


def picture() -> bytes:
    """A drawing of ours as JPEG, which both image models call neutral (0.98 and 1.0)."""
    _, jpeg = cv2.imencode(".jpg", drawing(3, 320)[:, :, ::-1])
    return bytes(jpeg)
