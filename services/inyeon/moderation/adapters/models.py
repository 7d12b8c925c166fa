"""Opens the heavy models that this process asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from inyeon.inference.opening import open_inference
from inyeon.inference.port import BankEntry, EmbeddingAnswer, ImageVote, Inference, SpaceId
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.errors import SettingsRefused, Unavailable
from inyeon.runtime.service import Ground

OpenModels = Callable[[Ground], Awaitable[Inference]]

_log = structlog.get_logger(__name__)


async def open_models(ground: Ground) -> Inference:
    """What INYEON_INFERENCE_* asks for. Raises SettingsRefused where model files are absent; a
    development process runs without models then, and says so."""
    try:
        return await open_inference(InferenceSettings(), ground.clock, ground.metrics)
    except SettingsRefused as refused:
        if not ground.development:
            raise
        _log.warning("moderation.no_models", reason=refused.reason, detail=str(refused))
        return AbsentModels()


class AbsentModels:
    """Inference that never answers: every escalation waits for a person."""

    degraded = True

    async def judge_embedding(
        self, space: SpaceId, embedding: NDArray[np.float32], budget_s: float
    ) -> EmbeddingAnswer:
        raise _absent()

    async def judge_image(
        self, picture: NDArray[np.uint8], budget_s: float
    ) -> tuple[ImageVote, ...]:
        raise _absent()

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        return

    async def ready(self) -> bool:
        return False

    async def close(self) -> None:
        return


def _absent() -> Unavailable:
    return Unavailable("there are no models here", reason="INFERENCE_UNAVAILABLE")
