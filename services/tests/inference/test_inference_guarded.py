"""The guard over an engine that does what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from inyeon.inference.catalogue import JUDGE, MODEL_NAMES
from inyeon.inference.engine import Models
from inyeon.inference.errors import ModelFailed, unavailable
from inyeon.inference.guarded import IMAGE_TICK_S, RENEW_AFTER, GuardedInference
from inyeon.inference.metrics import InferenceMetrics
from inyeon.inference.port import BankEntry
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import Clock, ManualClock, SystemClock
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, Overloaded, Unavailable

pytestmark = pytest.mark.unit

BUDGET_S = 5.0
PROBE_S = 0.25

Vector = Callable[[int], NDArray[np.float32]]


class Stage:
    """A guard over a puppet, with its clock and its metrics."""

    def __init__(
        self, models: Models, engine: Any, hedge: Any = None, clock: Clock | None = None
    ) -> None:
        self.models, self.engine = models, engine
        self.clock = clock or ManualClock()
        self.registry = CollectorRegistry()
        settings = InferenceSettings(probe_every_s=PROBE_S, probe_budget_s=0.05, image_budget_s=0.1)
        self.guard = GuardedInference(
            engine,
            models,
            settings,
            self.clock,
            InferenceMetrics(self.registry),
            hedge,
            frozenset(MODEL_NAMES),
        )

    async def judge(self, vector: NDArray[np.float32], budget_s: float = BUDGET_S) -> Any:
        return await self.guard.judge_embedding(self.models.head.space, vector, budget_s)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"inyeon_inference_{name}", labels) or 0.0

    async def advance(self, duration_s: float) -> None:
        assert isinstance(self.clock, ManualClock)
        await self.clock.advance(duration_s)


MakeStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def stage(models: Models) -> AsyncIterator[MakeStage]:
    stages: list[Stage] = []

    async def make(engine: Any, hedge: Any = None, clock: Clock | None = None) -> Stage:
        stage = Stage(models, engine, hedge, clock)
        stages.append(stage)
        await stage.guard.start()
        await asyncio.sleep(0)  # the watches reach their first pause
        return stage

    yield make
    for made in stages:
        await made.guard.close()


async def test_a_good_start_is_ready(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet())
    assert await made.guard.ready()
    assert not made.guard.degraded
    assert sorted(made.engine.checked[:3]) == sorted(MODEL_NAMES)


async def test_without_a_server_only_the_judge_is_asked_at_the_start(
    stage: MakeStage, puppet: Any
) -> None:
    made = await stage(puppet(remote=False))
    assert await made.guard.ready()
    await made.advance(100.0)
    assert made.engine.checked == [JUDGE]


async def test_a_model_without_its_known_answer_is_not_ready_and_not_asked(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet(broken={JUDGE: ModelFailed("another model")}))
    assert made.guard.degraded
    assert not await made.guard.ready()
    with pytest.raises(Unavailable):
        await made.judge(vector(0))
    assert made.engine.asked == []
    assert made.metric("requests_total", model=JUDGE, outcome="refused") == 1.0
    assert made.metric("degraded") == 1.0
    assert made.metric("breaker", model=JUDGE) == 2.0


async def test_a_loss_is_seen_by_the_next_probe_and_clears_by_itself(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet())
    made.engine.broken[JUDGE] = unavailable("gone")
    await made.advance(PROBE_S)
    assert made.guard.degraded
    assert made.metric("degraded") == 1.0
    del made.engine.broken[JUDGE]
    await made.advance(PROBE_S)
    assert not made.guard.degraded
    assert made.metric("degraded") == 0.0
    assert (await made.judge(vector(0))).scores.sum() == pytest.approx(1.0, abs=1e-5)


async def test_a_server_that_hangs_is_degraded_within_a_second(
    stage: MakeStage, puppet: Any
) -> None:
    made = await stage(puppet(), clock=SystemClock())
    made.engine.hanging.add(JUDGE)
    async with asyncio.timeout(1.0):
        while not made.guard.degraded:  # noqa: ASYNC110 - nobody tells when the flag goes up
            await asyncio.sleep(0.01)
    made.engine.hanging.clear()
    async with asyncio.timeout(5.0):
        while made.guard.degraded:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_with_the_server_its_image_models_are_gone_and_come_back(
    stage: MakeStage, puppet: Any
) -> None:
    made = await stage(puppet())
    made.engine.broken[JUDGE] = unavailable("gone")
    await made.advance(PROBE_S)
    with pytest.raises(Unavailable):
        await made.guard.judge_image(np.zeros((4, 4, 3), np.uint8), BUDGET_S)
    made.engine.broken.clear()
    await made.advance(IMAGE_TICK_S)
    assert await made.guard.ready()


async def test_image_models_are_asked_again_now_and_then(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet())
    await made.advance(29.0)
    assert made.engine.checked.count("image_filter_mid") == 1
    await made.advance(4.0)
    assert made.engine.checked.count("image_filter_mid") == 2


async def test_three_lost_calls_open_the_breaker_without_a_probe(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet(remote=False))
    made.engine.broken[JUDGE] = ModelFailed("NaN")
    for _ in range(3):
        with pytest.raises(ModelFailed):
            await made.judge(vector(0))
    with pytest.raises(Unavailable, match="not asked now"):
        await made.judge(vector(0))
    assert made.metric("requests_total", model=JUDGE, outcome="failed") == 3.0
    made.engine.broken.clear()
    await made.advance(1.0)
    await made.judge(vector(0))
    assert not made.guard.degraded


async def test_calls_that_were_lost_together_are_one_loss(
    stage: MakeStage, puppet: Any, vector: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await stage(puppet(remote=False))
    over = asyncio.Event()

    async def lost(name: str) -> None:
        await over.wait()
        raise DeadlineExceeded("late")

    monkeypatch.setattr(made.engine, "_obey", lost)
    calls = [asyncio.ensure_future(made.judge(vector(n), 1.0)) for n in range(5)]
    await asyncio.sleep(0)
    await made.advance(0.5)
    over.set()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [DeadlineExceeded] * 5
    assert not made.guard.degraded
    await made.advance(0.1)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            await made.judge(vector(0), 1.0)
    assert made.guard.degraded


@pytest.mark.parametrize("error", [Overloaded("full"), DeadlineExceeded("late")])
async def test_neither_a_full_queue_nor_a_hurried_caller_opens_the_breaker(
    stage: MakeStage, puppet: Any, vector: Vector, error: Exception
) -> None:
    made = await stage(puppet(remote=False))
    made.engine.broken[JUDGE] = error
    for _ in range(5):
        with pytest.raises(type(error)):
            await made.judge(vector(0), 0.01)
    assert not made.guard.degraded


async def test_a_server_that_is_slow_for_everybody_opens_the_breaker(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet(remote=False))
    made.engine.broken[JUDGE] = DeadlineExceeded("late")
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await made.judge(vector(0), 1.0)
    assert made.guard.degraded


async def test_an_image_model_that_is_lost_leaves_the_judge_alone(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet(broken={"image_filter_mid": ModelFailed("swapped")}))
    picture = np.zeros((4, 4, 3), np.uint8)
    assert not made.guard.degraded
    assert not await made.guard.ready()
    await made.judge(vector(0))
    with pytest.raises(Unavailable):
        await made.guard.judge_image(picture, BUDGET_S)
    made.engine.broken.clear()
    await made.advance(IMAGE_TICK_S)
    assert await made.guard.ready()
    assert len(await made.guard.judge_image(picture, BUDGET_S)) == 2


async def test_a_vote_that_fails_cancels_the_other(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet())
    made.engine.hanging.add("image_filter_inception")
    made.engine.broken["image_filter_mid"] = ModelFailed("NaN")
    async with asyncio.timeout(5.0):
        with pytest.raises(ModelFailed):
            await made.guard.judge_image(np.zeros((4, 4, 3), np.uint8), BUDGET_S)
    assert made.metric("requests_total", model="image_filter_inception", outcome="cancelled") == 1


async def test_a_connection_that_stays_silent_is_renewed(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet(broken={JUDGE: unavailable("silent")}))
    for _ in range(RENEW_AFTER):
        await made.advance(PROBE_S)
    assert made.engine.renewed == 1


async def test_a_busy_server_that_answered_meanwhile_is_not_lost(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet())
    await made.judge(vector(0))  # answered at the same instant of the clock as the probe below
    made.engine.broken[JUDGE] = Overloaded("full")
    assert await made.guard._look(JUDGE)
    assert not made.guard.degraded


async def test_a_defect_in_a_probe_counts_as_a_loss(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet())
    made.engine.broken[JUDGE] = KeyError("a defect")
    await made.advance(PROBE_S)
    assert made.guard.degraded
    made.engine.broken.clear()
    await made.advance(PROBE_S)
    assert not made.guard.degraded


async def test_the_hedge_answers_while_the_engine_does_not(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    broken = {JUDGE: unavailable("gone")}
    made = await stage(puppet(broken=broken), hedge=puppet(remote=False))
    assert not made.guard.degraded
    assert (await made.judge(vector(0))).scores.shape == (5,)
    assert made.metric("requests_total", model=JUDGE, outcome="hedged") == 1.0
    assert made.metric("breaker", model=JUDGE) == 2.0


async def test_a_bank_reaches_engine_and_hedge(
    stage: MakeStage, puppet: Any, models: Models, vector: Vector
) -> None:
    hedge = puppet(remote=False)
    made = await stage(puppet(broken={"put": unavailable("gone")}), hedge=hedge)
    entry = BankEntry("e", "b", models.head.space, vector(1))
    await made.guard.put_bank([entry], generation=5)
    assert made.engine.banks[-1].generation == hedge.banks[-1].generation
    assert made.metric("bank_entries", bank="b") == 1.0
    assert made.metric("bank_generation") == 5.0
    await made.guard.put_bank([], generation=4)
    assert len(made.engine.banks) == 1
    await made.guard.put_bank([])
    assert made.engine.banks[-1].number == 6
    assert made.metric("bank_entries", bank="b") == 0.0


async def test_what_is_wrong_is_refused_before_anybody_is_asked(
    stage: MakeStage, puppet: Any, vector: Vector
) -> None:
    made = await stage(puppet())
    with pytest.raises(InvalidRequest):
        await made.judge(vector(0)[:-1])
    with pytest.raises(DeadlineExceeded):
        await made.judge(vector(0), float("nan"))
    assert made.engine.asked == []


async def test_closing_ends_the_watch(stage: MakeStage, puppet: Any) -> None:
    made = await stage(puppet(), hedge=puppet(remote=False))
    await made.guard.close()
    before = len(made.engine.checked)
    await made.advance(10.0)
    assert len(made.engine.checked) == before
    assert made.engine.closed == 1
