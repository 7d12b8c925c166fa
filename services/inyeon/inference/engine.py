"""What the guard asks of a place where models run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.banks import Banks
from inyeon.inference.canaries import Canaries
from inyeon.inference.catalogue import LABELS, ImageModel, ModelName
from inyeon.inference.head import ContentHead
from inyeon.inference.port import EmbeddingAnswer, ImageVote
from inyeon.runtime.errors import SettingsRefused

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Models:
    """What everybody knows of the models, wherever they run."""

    folder: Path
    head: ContentHead
    canaries: Canaries

    @classmethod
    def load(cls, folder: Path) -> Models:
        """Reads the small files; raises SettingsRefused where they are absent or disagree."""
        head, canaries = ContentHead.load(folder), Canaries.load(folder)
        if head.labels != LABELS or head.space.dims != canaries.dims:
            message = f"{folder}: head and known answers are of other models; run `make models`"
            raise SettingsRefused(message, reason="NO_MODELS", field="models_dir")
        return cls(folder, head, canaries)


class Engine(Protocol):
    """Runs the models. Input was checked; each method raises what the port lists.

    A caller that is cancelled leaves nothing behind that grows.
    """

    @property
    def remote(self) -> bool:
        """It can be lost and must be watched."""
        ...

    async def judge(self, embedding: Float, budget_s: float) -> EmbeddingAnswer:
        """By the banks that were put last, or newer ones; `embedding` (dims,) float32."""
        ...

    async def vote(
        self, model: ImageModel, picture: NDArray[np.uint8], budget_s: float
    ) -> ImageVote:
        """One image model on one (height, width, 3) picture."""
        ...

    async def check(self, model: ModelName, budget_s: float) -> None:
        """Asks the model its known answer; raises ModelFailed for another one."""
        ...

    async def put(self, banks: Banks) -> None:
        """`judge` goes by these from now on. Raises only what a lost engine raises; it is then fed
        when it is back."""
        ...

    async def renew(self) -> None:
        """Drops what it is connected to: the other end may be gone without a word."""
        ...

    async def close(self) -> None:
        """Ends what was opened. Closing twice does nothing."""
        ...
