"""The guard: what services hold as `Inference`.

It checks what is asked, watches the engine with known answers, keeps a breaker for each model, and
lets the process itself answer where the operator allows it.

A remote engine's judge is asked its known answer every `probe_every_s` (0.4 s), with
`probe_budget_s` (0.5 s) to give it: a server that died or hangs is noticed after at most 0.4 + 0.5
= 0.9 s. One lost probe opens the breaker, unless a real call was answered after the probe was
sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from inyeon.inference.banks import Banks
from inyeon.inference.breaker import Breaker, State
from inyeon.inference.catalogue import IMAGE_MODELS, JUDGE, MODEL_NAMES, ImageModel, ModelName
from inyeon.inference.engine import Engine, Models
from inyeon.inference.errors import ModelFailed, unavailable
from inyeon.inference.hedging import first_answer
from inyeon.inference.metrics import InferenceMetrics, Outcome
from inyeon.inference.pictures import check_picture
from inyeon.inference.port import BankEntry, EmbeddingAnswer, ImageVote, SpaceId
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, InyeonError, Overloaded

RETRY_S = 1.0  # a breaker without a probe tries again after this; probes close it sooner
IMAGE_TICK_S = 2.0  # an image model that was lost is asked this often
RENEW_AFTER = 8  # probes lost in a row, 2 to 6 s: the other end of the connection may be gone
STALL_S = 0.1  # a time-out is late by less than 1 ms in a loop that turns
# A caller with less time than this says nothing about the server when it runs out.
FAIR_S: dict[ModelName, float] = {
    "embedding_judge": 0.1,
    "image_filter_inception": 1.0,
    "image_filter_mid": 1.0,
}

_log = structlog.get_logger(__name__)
T = TypeVar("T")


class GuardedInference:
    """Implements Inference. Call `start` inside the loop; `hedge` answers what `hedged` names."""

    def __init__(
        self,
        engine: Engine,
        models: Models,
        settings: InferenceSettings,
        clock: Clock,
        metrics: InferenceMetrics,
        hedge: Engine | None = None,
        hedged: frozenset[ModelName] = frozenset(),
    ) -> None:
        self._engine = engine
        self._models = models
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._hedge = hedge
        self._hedged = hedged if hedge is not None else frozenset()
        self._breakers = {name: Breaker(clock, retry_s=RETRY_S) for name in MODEL_NAMES}
        self._answered_at = dict.fromkeys(MODEL_NAMES, -1.0)
        self._failed_at = dict.fromkeys(MODEL_NAMES, -1.0)
        self._looked_at = dict.fromkeys(MODEL_NAMES, -1.0)
        self._proven: set[ModelName] = set()
        self._banks = Banks.of(models.head.space, (), 0)
        self._putting = asyncio.Lock()  # puts happen in order
        self._watches: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to watch; returns when every model was asked once, whatever it said."""
        await asyncio.gather(*(self._look(name) for name in self._watched()))
        if self._engine.remote:
            tasks = [self._watch(name) for name in MODEL_NAMES]
            self._watches = [asyncio.create_task(task) for task in tasks]

    async def judge_embedding(
        self, space: SpaceId, embedding: NDArray[np.float32], budget_s: float
    ) -> EmbeddingAnswer:
        self._check_embedding(space, embedding)
        vector = np.ascontiguousarray(embedding, dtype=np.float32)
        return await self._ask("embedding_judge", lambda e, s: e.judge(vector, s), budget_s)

    async def judge_image(
        self, picture: NDArray[np.uint8], budget_s: float
    ) -> tuple[ImageVote, ...]:
        check_picture(picture)
        votes = [asyncio.ensure_future(self._vote(m, picture, budget_s)) for m in IMAGE_MODELS]
        try:
            return tuple(await asyncio.gather(*votes))
        finally:
            for vote in votes:
                vote.cancel()
            await asyncio.gather(*votes, return_exceptions=True)

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        async with self._putting:
            number = generation or self._banks.number + 1
            if number < self._banks.number:
                return
            # 200,000 entries take half a second to stack and to digest
            banks = await asyncio.to_thread(_prepared, self._models.head.space, entries, number)
            self._banks = banks
            self._metrics.banks(banks.sizes, number)
            if self._hedge is not None:
                await self._hedge.put(banks)
            try:
                await self._engine.put(banks)
            except InyeonError as error:  # the judge's known answer feeds it when it is back
                _log.warning("inference.bank_waits", reason=error.reason, generation=number)

    @property
    def degraded(self) -> bool:
        return not self._serves(JUDGE)

    async def ready(self) -> bool:
        return all(self._serves(name) for name in self._watched())

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches = []
        await self._engine.close()
        if self._hedge is not None:
            await self._hedge.close()

    def _watched(self) -> tuple[ModelName, ...]:
        """Without a server the image models are opened by the first picture, not by us."""
        return MODEL_NAMES if self._engine.remote else (JUDGE,)

    def _serves(self, name: ModelName) -> bool:
        proven = name in self._proven and self._breakers[name].state is State.CLOSED
        return proven or name in self._hedged

    def _check_embedding(self, space: SpaceId, embedding: NDArray[Any]) -> None:
        known = self._models.head.space
        if space != known:
            message = (
                f"the head is for {known.model}@{known.version}, not {space.model}@{space.version}"
            )
            raise InvalidRequest(message, field="space")
        if embedding.shape != (known.dims,) or not np.isfinite(embedding).all():
            raise InvalidRequest(f"not {known.dims} finite numbers", field="embedding")

    async def _vote(
        self, model: ImageModel, picture: NDArray[np.uint8], budget_s: float
    ) -> ImageVote:
        return await self._ask(model.name, lambda e, s: e.vote(model, picture, s), budget_s)

    async def _ask(
        self, name: ModelName, ask: Callable[[Engine, float], Awaitable[T]], budget_s: float
    ) -> T:
        if not budget_s > 0.0:
            raise DeadlineExceeded("no time is left to ask a model")
        spare = self._hedge if name in self._hedged else None
        if spare is None:
            return await self._guarded(name, ask, budget_s)

        async def by_spare(left_s: float) -> T:
            answer = await ask(spare, left_s)
            self._metrics.asked(name, "hedged")
            return answer

        return await first_answer(
            lambda: self._guarded(name, ask, budget_s), by_spare, budget_s, self._clock
        )

    async def _guarded(
        self, name: ModelName, ask: Callable[[Engine, float], Awaitable[T]], budget_s: float
    ) -> T:
        if not self._breakers[name].allow():
            self._metrics.asked(name, "refused")
            raise unavailable(f"{name} does not answer and is not asked now")
        started = self._clock.monotonic()
        outcome: Outcome = "cancelled"
        try:
            answer = await ask(self._engine, budget_s)
            outcome = "ok"
            self._metrics.answered(name, self._clock.monotonic() - started)
            return answer
        except InyeonError as error:
            outcome = _outcome(error)
            raise
        finally:
            self._report(name, outcome, budget_s, started)

    def _report(self, name: ModelName, outcome: Outcome, budget_s: float, started: float) -> None:
        breaker = self._breakers[name]
        self._metrics.asked(name, outcome)
        if outcome == "ok":
            self._answered_at[name] = self._clock.monotonic()
            if name in self._proven:  # only a known answer lets a lost model back
                breaker.succeeded()
                return
        unfair = outcome == "deadline" and budget_s < FAIR_S[name]
        # Those that were under way together are one failure: they share requests, and a moment in
        # which nothing moves ends them all.
        another = started >= self._failed_at[name]
        if outcome in ("unavailable", "failed", "deadline") and not unfair and another:
            self._failed_at[name] = self._clock.monotonic()
            breaker.failed()
        else:
            breaker.abandoned()
        self._tell()

    async def _watch(self, name: ModelName) -> None:
        lost = 0
        while True:
            await self._clock.sleep(self._settings.probe_every_s if name == JUDGE else IMAGE_TICK_S)
            if not self._due(name):
                continue
            lost = 0 if await self._look(name) else lost + 1
            if name == JUDGE and lost and lost % RENEW_AFTER == 0:
                await self._engine.renew()

    def _due(self, name: ModelName) -> bool:
        if name == JUDGE or name not in self._proven:
            return True
        waited = self._clock.monotonic() - self._looked_at[name]
        return waited >= self._settings.image_check_every_s

    async def _look(self, name: ModelName, *, again: bool = True) -> bool:
        """Asks one known answer; True where the model serves. A time-out that came late says that
        this process stood still, not the server: it asks once more.
        """
        budget_s = self._settings.probe_budget_s if name == JUDGE else self._settings.image_budget_s
        started = self._looked_at[name] = self._clock.monotonic()
        try:
            async with asyncio.timeout(budget_s):
                await self._engine.check(name, budget_s)
        except (InyeonError, TimeoutError) as error:
            if again and self._clock.monotonic() - started > budget_s + STALL_S:
                return await self._look(name, again=False)
            return self._missed(name, started, error)
        except Exception as error:  # a defect in a probe must not end the watch
            _log.exception("inference.probe_broke", model=name)
            return self._missed(name, started, error)
        self._found(name)
        return True

    def _found(self, name: ModelName) -> None:
        if name not in self._proven:
            _log.info("inference.model_serves", model=name)
        self._proven.add(name)
        self._breakers[name].succeeded()
        self._tell()

    def _missed(self, name: ModelName, started: float, error: Exception) -> bool:
        busy = isinstance(error, Overloaded | DeadlineExceeded | TimeoutError)
        if busy and self._answered_at[name] >= started:
            return True  # others were answered meanwhile: it is busy, not gone
        if name in self._proven or self._breakers[name].state is State.CLOSED:
            reason = getattr(error, "reason", type(error).__name__)
            _log.warning("inference.model_lost", model=name, reason=reason, detail=str(error))
        # who cannot reach the judge reaches no other model of that server either
        gone = MODEL_NAMES if name == JUDGE and not isinstance(error, ModelFailed) else (name,)
        for model in gone:
            self._proven.discard(model)
            self._breakers[model].trip()
        self._tell()
        return False

    def _tell(self) -> None:
        states = {name: int(breaker.state) for name, breaker in self._breakers.items()}
        self._metrics.state(states, self.degraded)


def _prepared(space: SpaceId, entries: Sequence[BankEntry], number: int) -> Banks:
    banks = Banks.of(space, entries, number)
    _ = banks.generation, banks.sizes
    banks.nearest(np.zeros(space.dims, dtype=np.float32))
    return banks


def _outcome(error: InyeonError) -> Outcome:
    match error:
        case DeadlineExceeded():
            return "deadline"
        case Overloaded():
            return "overloaded"
        case ModelFailed():
            return "failed"
    return "unavailable"
