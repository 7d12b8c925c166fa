"""The worker as a role of its own: ready by its models' known answer, and never stopped by them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select

from inyeon.inference.errors import ModelFailed
from inyeon.inference.scripted import ScriptedInference
from inyeon.moderation.adapters.models import AbsentModels, open_models
from inyeon.moderation.settings import ModerationSettings
from inyeon.moderation.worker import build_worker
from inyeon.runtime.errors import DeadlineExceeded, SettingsRefused
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.topics import ESCALATIONS, OPINIONS, all_specs
from inyeon.runtime.service import Service
from inyeon.runtime.store.tables import outbox
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1.events_pb2 import EscalationRaised, OpinionGiven
from inyeon_protos.moderation.v1 import safety_pb2

pytestmark = pytest.mark.unit

WAIT_S = 15.0
DEGRADED = "inyeon_moderation_models_degraded"


@asynccontextmanager
async def working(
    process: ModuleType, folder: Path, models: ScriptedInference
) -> AsyncIterator[tuple[Service, Any]]:
    """(the worker, its ground) with its tasks under way."""
    ground = process.SmallGround(folder)
    await ground.log.create_topics(all_specs())

    async def opened(_: Any) -> ScriptedInference:
        return models

    service = await build_worker(ModerationSettings(), ground, opened)
    tasks = [asyncio.ensure_future(task.run()) for task in service.tasks]
    try:
        yield service, ground
        assert not [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for closer in reversed(service.closers):
            await closer()
        for store in ground.stores:
            await store.close()
        await ground.log.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.01)


async def opinion_on(ground: Any, models: ScriptedInference, name: str) -> OpinionGiven:
    """Raises an escalation and waits for its opinion, which the store's outbox holds."""
    space = vector_pb2.EmbeddingSpace(
        model=models.space.model,
        version=models.space.version,
        dims=64,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    vector = vector_pb2.Vector(space=space, data=struct.pack("<f", 0.05) + b"\1" * 64)
    event = EscalationRaised(
        escalation_id=name, user_id="u", session_id=name, reason="PORN_UNSURE", embedding=vector
    )
    event.raised_at.GetCurrentTime()
    await ground.log.publish([new_event(ESCALATIONS, name, event, occurred_at=datetime.now(UTC))])
    found = select(outbox.c.value).where(outbox.c.topic == OPINIONS, outbox.c.key == name)
    async with asyncio.timeout(WAIT_S):
        while True:
            async with ground.stores[0].reading() as connection:
                value = (await connection.execute(found)).scalar_one_or_none()
            if value is not None:
                return OpinionGiven.FromString(value)
            await asyncio.sleep(0.02)


async def test_it_is_ready_while_its_models_answer(
    moderation_process: ModuleType, tmp_path: Path
) -> None:
    models = ScriptedInference()
    async with working(moderation_process, tmp_path, models) as (service, _):
        await until(lambda: service.ready())
        models.away = True
        assert not service.ready()
        models.away = False
        assert service.ready()
    assert models.closed


async def test_it_works_on_without_models_and_opens_cases(
    moderation_process: ModuleType, tmp_path: Path
) -> None:
    models = ScriptedInference()
    models.away = True
    async with working(moderation_process, tmp_path, models) as (service, ground):
        await until(lambda: bool(ground.metrics.get_sample_value(DEGRADED)))
        lost = await opinion_on(ground, models, "one")
        assert lost.degraded and lost.reason == "MODELS_UNAVAILABLE"
        assert lost.verdict == safety_pb2.VERDICT_UNSURE
        models.away = False
        await until(lambda: ground.metrics.get_sample_value(DEGRADED) == 0.0 and service.ready())
        models.say((0.0, 0.0, 0.02, 0.98, 0.0))
        found = await opinion_on(ground, models, "two")
        assert (found.reason, found.degraded) == ("HEAD_EXPLICIT", False)


async def test_a_model_that_is_late_once_is_asked_again(
    moderation_process: ModuleType, tmp_path: Path
) -> None:
    models = ScriptedInference()
    models.say((0.0, 0.0, 0.02, 0.98, 0.0))
    models.fail(DeadlineExceeded("once"))
    async with working(moderation_process, tmp_path, models) as (_, ground):
        assert (await opinion_on(ground, models, "one")).reason == "HEAD_EXPLICIT"
        models.fail(DeadlineExceeded("twice"), DeadlineExceeded("twice"))
        found = await opinion_on(ground, models, "two")
        assert (found.reason, found.degraded) == ("MODELS_UNAVAILABLE", True)


async def test_a_model_that_fails_gives_no_verdict(
    moderation_process: ModuleType, tmp_path: Path
) -> None:
    models = ScriptedInference()
    models.say((0.0, 0.0, 0.02, 0.98, 0.0))
    models.fail(ModelFailed("as scripted"))
    async with working(moderation_process, tmp_path, models) as (_, ground):
        opinion = await opinion_on(ground, models, "one")
        assert (opinion.reason, opinion.verdict) == ("MODEL_FAILED", safety_pb2.VERDICT_UNSURE)


async def test_development_goes_on_without_model_files_and_production_does_not(
    moderation_process: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INYEON_INFERENCE_MODELS_DIR", str(tmp_path / "nothing"))
    ground = moderation_process.SmallGround(tmp_path)
    models = await open_models(ground)
    assert isinstance(models, AbsentModels) and models.degraded and not await models.ready()
    ground.development = False
    with pytest.raises(SettingsRefused) as refused:
        await open_models(ground)
    assert refused.value.reason == "NO_MODELS"
