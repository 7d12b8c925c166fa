"""A running platform whose tritonserver dies and comes back: what people and operators see.

No picture is behind any score or embedding here: the embedding is searched for until the head is in
two minds about it.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from inyeon.inference.head import ContentHead
from inyeon.inference.opening import open_inference
from inyeon.inference.port import Inference
from inyeon.inference.settings import Hedge, InferenceSettings
from inyeon.moderation.bootstrap import build
from inyeon.moderation.settings import ModerationSettings
from inyeon.runtime.log.topics import OPINIONS
from inyeon.runtime.service import Ground, Service
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1.events_pb2 import OpinionGiven
from inyeon_stack import Triton
from tests.integration.escalation_scene import (
    Platform,
    about,
    eventually,
    gauge,
    now,
    person,
    platform_on,
    settings_of,
)
from tests.integration.triton_scene import BACK_S, NOTICED_S, models_dir, own_server, until

pytestmark = [pytest.mark.integration, pytest.mark.engine("triton")]

DEGRADED = "inyeon_moderation_models_degraded"
ENTRIES = "inyeon_inference_bank_entries"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Triton]:
    """One of our own, because it is killed."""
    with own_server(tmp_path / "triton") as server:
        yield server


def undecided() -> vector_pb2.Vector:
    """An embedding that the head finds neither explicit nor quiet."""
    head = ContentHead.load(models_dir())
    draw, steps = np.random.default_rng(0), np.zeros(64)

    def explicit(of: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        scores = head.probabilities((of.astype(np.int8) * np.float32(0.05)).astype(np.float32))
        return float(scores[1] + scores[3])

    while not 0.4 < explicit(steps) < 0.6:
        near = np.clip(steps + draw.normal(size=64) * 10, -127, 127)
        if abs(explicit(near) - 0.5) < abs(explicit(steps) - 0.5):
            steps = near
    space = vector_pb2.EmbeddingSpace(
        model=head.space.model,
        version=head.space.version,
        dims=64,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    return vector_pb2.Vector(
        space=space, data=struct.pack("<f", 0.05) + steps.astype(np.int8).tobytes()
    )


@asynccontextmanager
async def on_triton(server: Triton, folder: Path, hedge: Hedge) -> AsyncIterator[Platform]:
    """A platform that asks this server, and has been answered."""
    settings = InferenceSettings(
        triton=server.grpc, bank_scope=uuid.uuid4().hex, models_dir=models_dir(), hedge=hedge
    )

    async def moderation(ground: Ground) -> Service:
        async def opened(ground: Ground) -> Inference:
            return await open_inference(settings, ground.clock, ground.metrics)

        return await build(ModerationSettings(), ground, with_worker=True, models=opened)

    async with platform_on(settings_of(folder), role=moderation) as platform:
        await until(lambda: gauge(platform, DEGRADED) == 0.0, BACK_S)
        yield platform


async def confirm_one(platform: Platform, seen: vector_pb2.Vector) -> None:
    """Somebody is reported by the device, a person confirms: the first case of the bank."""
    user_id = person()
    async with platform.device(user_id) as device:
        await device.unsure(seen)
        case = await platform.one_case(user_id)
        assert case.reason == "PORN_UNSURE"
        await platform.confirm(case.case_id)
    metrics = platform.ground.metrics
    await eventually(lambda: now(metrics.get_sample_value(ENTRIES, {"bank": "nudity"})))


async def is_protected(platform: Platform, seen: vector_pb2.Vector) -> None:
    async with platform.device(person()) as device:
        await device.unsure(seen)
        await device.until(lambda d: ("PROTECT", "BANK_MATCH") in d.told)


async def test_without_triton_people_decide_and_with_it_the_bank_is_back(
    server: Triton, tmp_path: Path
) -> None:
    seen, user_id = undecided(), person()
    async with on_triton(server, tmp_path / "platform", "off") as platform:
        await confirm_one(platform, seen)
        await is_protected(platform, seen)
        async with platform.device(user_id) as device:
            await device.window([0.0, 0.0, 1.0, 0.0, 0.0], seen)
            await asyncio.to_thread(server.kill)
            await until(lambda: gauge(platform, DEGRADED) == 1.0, NOTICED_S)
            await device.unsure(seen)
            assert (await platform.one_case(user_id)).reason == "MODELS_UNAVAILABLE"
            assert (device.verdict, device.told) == ("UNSURE", [])
            assert device.open_still
        [opinion] = await about(platform, OPINIONS, OpinionGiven, user_id)
        assert opinion.degraded
        await asyncio.to_thread(server.start)
        await until(lambda: gauge(platform, DEGRADED) == 0.0, BACK_S)
        await is_protected(platform, seen)


async def test_with_a_hedge_head_and_bank_answer_in_the_process(
    server: Triton, tmp_path: Path
) -> None:
    seen = undecided()
    async with on_triton(server, tmp_path / "platform", "embedding") as platform:
        await confirm_one(platform, seen)
        await asyncio.to_thread(server.kill)
        await is_protected(platform, seen)
        assert gauge(platform, DEGRADED) == 0.0
