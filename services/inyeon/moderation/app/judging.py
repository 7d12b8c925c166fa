"""Asks heavier models about what devices could not settle. Writes nothing: the worker does."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.port import EmbeddingAnswer, Inference, SpaceId
from inyeon.moderation.app.ports import Answered, JudgingMeter
from inyeon.moderation.domain.embeddings import SPACE, EmbeddingRefused, unpacked
from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.opinions import (
    MODEL_FAILED,
    MODELS_UNAVAILABLE,
    Escalated,
    Judged,
    Opinion,
    Similar,
    Source,
    by_embedding,
    by_text,
    no_answer,
    unjudged,
)
from inyeon.moderation.domain.policy import SecondOpinion
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import (
    DeadlineExceeded,
    InvalidRequest,
    InyeonError,
    Overloaded,
    Unavailable,
)

# The whole way from window to directive has 500 ms; the other steps are three commits and two
# publishes of 10 to 30 ms each, so the models may take half of it. One that missed its time once is
# asked once more: late by a quarter of a second is still better than a case for a person.
BUDGET_S = 0.25
AT_ONCE = 64  # two of Triton's batches of 32: one is computed while the next one gathers

_logger = logging.getLogger(__name__)


class Judging:
    """One opinion for each escalation, whatever happens to the models."""

    def __init__(
        self,
        inference: Inference,
        rules: SecondOpinion,
        clock: Clock,
        meter: JudgingMeter,
        *,
        budget_s: float = BUDGET_S,
    ) -> None:
        self._inference = inference
        self._rules = rules
        self._clock = clock
        self._meter = meter
        self._budget_s = budget_s
        self._room = asyncio.Semaphore(AT_ONCE)

    async def all(self, escalations: Sequence[Escalated]) -> list[Answered]:
        """Opinions in the order given, asked for at once so that the models can batch them."""
        return list(await asyncio.gather(*(self.one(escalated) for escalated in escalations)))

    async def one(self, escalated: Escalated) -> Answered:
        """The opinion on one escalation. Never raises for what models do."""
        began_s = self._clock.monotonic()
        source, judged = await self._judge(escalated)
        self._meter.judged(source, judged, self._clock.monotonic() - began_s)
        opinion = Opinion(
            uuid.uuid4().hex,
            escalated.escalation_id,
            escalated.user_id,
            escalated.session_id,
            source,
            judged,
            escalated.raised_at,
            self._clock.now(),
        )
        return Answered(escalated, opinion)

    async def _judge(self, escalated: Escalated) -> tuple[Source, Judged]:
        if escalated.text is not None:
            return Source.TEXT, by_text(escalated.text, escalated.text_model)
        if escalated.refusal or escalated.embedding is None:
            return Source.EMBEDDING, unjudged(escalated.refusal)
        return Source.EMBEDDING, await self._by_embedding(escalated.embedding)

    async def _by_embedding(self, embedding: Embedding) -> Judged:
        try:
            vector = unpacked(embedding.data, embedding.dims)
        except EmbeddingRefused as refused:
            return unjudged(refused.reason)
        space = SpaceId(embedding.model, embedding.version, embedding.dims)

        async def ask() -> Judged:
            answer = await self._answer(space, vector)
            similar = [Similar(hit.bank, float(hit.similarity)) for hit in answer.hits]
            scores = [float(score) for score in answer.scores]
            classes = dict(zip(answer.classes, scores, strict=True))
            return by_embedding(self._rules, similar, classes, answer.models)

        async with self._room:
            return await answered(ask, self._meter)

    async def _answer(self, space: SpaceId, vector: NDArray[np.float32]) -> EmbeddingAnswer:
        try:
            return await self._inference.judge_embedding(space, vector, self._budget_s)
        except DeadlineExceeded:
            return await self._inference.judge_embedding(space, vector, self._budget_s)


async def answered(ask: Callable[[], Awaitable[Judged]], meter: JudgingMeter) -> Judged:
    """What `ask` returns, or what its failure means: nobody is let pass and nothing waits."""
    try:
        return await ask()
    except (Unavailable, DeadlineExceeded, Overloaded):
        return no_answer(MODELS_UNAVAILABLE)
    except InvalidRequest:
        return unjudged(SPACE)
    except InyeonError:
        return no_answer(MODEL_FAILED)
    except Exception as error:
        # An answer of another shape may break anything on its way: a failure of the model. The name
        # is all that is logged, because a message could quote what the models were given.
        _logger.error("a model's answer broke on its way: %s", type(error).__name__)
        meter.broke()
        return no_answer(MODEL_FAILED)
