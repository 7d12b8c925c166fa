"""A twin for tests of others: says what it was told to say. It runs no model."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.banks import Banks
from inyeon.inference.catalogue import IMAGE_MODELS, LABELS
from inyeon.inference.errors import unavailable
from inyeon.inference.port import BankEntry, EmbeddingAnswer, ImageVote, SpaceId
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, InyeonError

SPACE = SpaceId("content-pca-64", "scripted", 64)
NEUTRAL = (0.0, 0.0, 1.0, 0.0, 0.0)

Scores = Sequence[float]


class ScriptedInference:
    """Implements Inference. Banks are searched for real; heads and image models are scripted.

    `say` and `show` set what is answered from now on, `fail` lets the next questions fail, `away`
    makes it degraded. What was asked is in `judged` and `looked_at`.
    """

    def __init__(self, space: SpaceId = SPACE) -> None:
        self.space = space
        self.away = False
        self.closed = False
        self.judged: list[NDArray[np.float32]] = []
        self.looked_at: list[tuple[int, ...]] = []
        """Shapes only: a picture is kept nowhere."""
        self.banks = Banks.of(space, (), 0)
        self._scores: Scores = NEUTRAL
        self._votes: Sequence[Scores] = (NEUTRAL,) * len(IMAGE_MODELS)
        self._failures: deque[InyeonError] = deque()

    def say(self, scores: Scores) -> None:
        """Probabilities of the head, in the order of LABELS."""
        self._scores = scores

    def show(self, *votes: Scores) -> None:
        """Probabilities of each image model, in the order of IMAGE_MODELS."""
        self._votes = votes

    def fail(self, *errors: InyeonError) -> None:
        """The next questions end with these."""
        self._failures.extend(errors)

    async def judge_embedding(
        self, space: SpaceId, embedding: NDArray[np.float32], budget_s: float
    ) -> EmbeddingAnswer:
        if space != self.space or not np.isfinite(embedding).all():
            raise InvalidRequest("not an embedding of the head's space", field="embedding")
        self._check(budget_s)
        self.judged.append(embedding)
        hits = self.banks.nearest(np.asarray(embedding, dtype=np.float32))
        scores = np.asarray(self._scores, dtype=np.float32)
        return EmbeddingAnswer(hits, LABELS, scores, ("scripted-head@1",))

    async def judge_image(
        self, picture: NDArray[np.uint8], budget_s: float
    ) -> tuple[ImageVote, ...]:
        self._check(budget_s)
        self.looked_at.append(picture.shape)
        scripted = zip(IMAGE_MODELS, self._votes, strict=True)
        return tuple(
            ImageVote(model.model, LABELS, np.asarray(scores, dtype=np.float32))
            for model, scores in scripted
        )

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        number = generation or self.banks.number + 1
        if number >= self.banks.number:
            self.banks = Banks.of(self.space, entries, number)

    @property
    def degraded(self) -> bool:
        return self.away

    async def ready(self) -> bool:
        return not self.away

    async def close(self) -> None:
        self.closed = True

    def _check(self, budget_s: float) -> None:
        if not budget_s > 0.0:
            raise DeadlineExceeded("no time is left to ask a model")
        if self._failures:
            raise self._failures.popleft()
        if self.away:
            raise unavailable("nobody answers, as scripted")
