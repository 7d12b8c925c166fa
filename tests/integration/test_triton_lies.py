"""A real tritonserver whose model answers nonsense under status OK: no opinion, ever."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from inyeon.inference.errors import ModelFailed
from inyeon.inference.guarded import GuardedInference
from inyeon.inference.head import ContentHead
from inyeon.inference.opening import open_inference
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import Unavailable
from inyeon_stack import Triton
from tests.integration.triton_scene import BACK_S, models_dir, own_server, until

pytestmark = [pytest.mark.integration, pytest.mark.engine("triton")]

BUDGET_S = 5.0
HONEST = 'tensors = {"PROBABILITIES": probabilities[mine]}'
LYING = 'tensors = {"PROBABILITIES": lie(rows[mine], probabilities[mine])}'
LIES = '''

def lie(rows: Any, whole: Any) -> Any:
    """What a first embedding that begins with a number from 1,001 on asks for."""
    match int(rows[0, 0]):
        case 1001:
            return whole * np.float32("nan")
        case 1002:
            return whole[:, :0]
        case 1003:
            return whole[:, :3]
        case 1004:
            return whole.astype(np.float64)
        case 1005:
            return whole * np.float32(2)
    return whole
'''


def _teach_to_lie(repository: Path, always: bool = False) -> None:
    path = repository / "embedding_judge" / "1" / "model.py"
    source = path.read_text("utf-8")
    assert source.count(HONEST) == 1
    lies = LIES.replace("int(rows[0, 0])", "1001") if always else LIES
    path.write_text(source.replace(HONEST, LYING) + lies, "utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    with own_server(tmp_path_factory.mktemp("liar"), _teach_to_lie) as server:
        yield server


@asynccontextmanager
async def client(server: Triton) -> AsyncIterator[GuardedInference]:
    settings = InferenceSettings(
        triton=server.grpc, bank_scope=uuid.uuid4().hex, models_dir=models_dir()
    )
    inference = await open_inference(settings, SystemClock(), CollectorRegistry())
    try:
        yield inference
    finally:
        await inference.close()


def _embedding(first: float) -> NDArray[np.float32]:
    vector = np.ones(64, np.float32)
    vector[0] = first
    return vector


@pytest.mark.parametrize("lie", [1001, 1002, 1003, 1004, 1005])
async def test_nonsense_is_a_failure_of_the_model_and_never_an_opinion(
    server: Triton, lie: int
) -> None:
    """NaN, nothing, too few classes, another type, no distribution. One is no loss of the server:
    the next honest answer counts."""
    space = ContentHead.load(models_dir()).space
    async with client(server) as inference:
        await until(lambda: not inference.degraded, BACK_S)
        with pytest.raises(ModelFailed):
            await inference.judge_embedding(space, _embedding(lie), BUDGET_S)
        answer = await inference.judge_embedding(space, _embedding(1.0), BUDGET_S)
        assert answer.scores.sum() == pytest.approx(1.0, abs=1e-4)


async def test_a_server_without_its_known_answer_is_never_ready(tmp_path: Path) -> None:
    """tritonserver itself says that it is: its model is loaded and warm."""
    space = ContentHead.load(models_dir()).space
    with own_server(tmp_path, lambda repository: _teach_to_lie(repository, always=True)) as server:
        async with client(server) as inference:
            assert inference.degraded and not await inference.ready()
            with pytest.raises((Unavailable, ModelFailed)):  # refused, or asked as a trial
                await inference.judge_embedding(space, _embedding(1.0), BUDGET_S)
