"""The inference contract on the models in this process and on a real tritonserver."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from inyeon.inference.engine import Models
from inyeon.inference.opening import open_inference
from inyeon.inference.port import Inference
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import SystemClock
from tests.contract.inference_contract import (
    BUDGET_S,
    InferenceContract,
    entries,
    picture,
    vector,
)

pytestmark = pytest.mark.contract

APART = 1e-5  # the same files in the same runtime, split over threads otherwise


class _Server(Protocol):
    """What we use of the `triton` fixture."""

    @property
    def grpc(self) -> str: ...


def _models_dir() -> Path:
    return Path(os.environ.get("INYEON_MODELS_DIR") or "build/models").resolve()


@pytest.fixture(scope="module")
def models() -> Models:
    folder = _models_dir()
    if not (folder / "canaries.json").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}: CI builds them first")
        pytest.skip(f"no models in {folder}: run `make models`")
    return Models.load(folder)


async def _open(folder: Path, address: str = "") -> Inference:
    # a shared machine may stall for seconds: what is tested here is what is said, not how soon
    settings = InferenceSettings(
        triton=address,
        bank_scope=uuid.uuid4().hex,
        models_dir=folder,
        threads=1,
        probe_every_s=0.2,
        probe_budget_s=0.7,
        image_budget_s=20.0,
    )
    return await open_inference(settings, SystemClock(), CollectorRegistry())


@pytest.mark.engine("onnxruntime")
class TestInProcess(InferenceContract):
    @pytest.fixture
    async def inference(self, models: Models) -> AsyncIterator[Inference]:
        inference = await _open(models.folder)
        yield inference
        await inference.close()


@pytest.mark.engine("triton")
class TestTriton(InferenceContract):
    @pytest.fixture
    async def inference(self, models: Models, triton: _Server) -> AsyncIterator[Inference]:
        inference = await _open(models.folder, triton.grpc)
        yield inference
        await inference.close()

    async def test_both_say_the_same(self, inference: Inference, models: Models) -> None:
        """Pictures and embeddings, in this process and on the server, within APART."""
        here, space = await _open(models.folder), models.head.space
        for one in (here, inference):
            await one.put_bank(entries(space, 300), generation=1)
        for seed in range(5):
            ours = await here.judge_embedding(space, vector(seed + 900), BUDGET_S)
            theirs = await inference.judge_embedding(space, vector(seed + 900), BUDGET_S)
            np.testing.assert_allclose(ours.scores, theirs.scores, atol=APART)
            assert [hit.entry_id for hit in ours.hits] == [hit.entry_id for hit in theirs.hits]
            for vote, other in zip(
                await here.judge_image(picture(seed), BUDGET_S),
                await inference.judge_image(picture(seed), BUDGET_S),
                strict=True,
            ):
                np.testing.assert_allclose(vote.scores, other.scores, atol=APART)
        await here.close()
