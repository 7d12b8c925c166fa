"""A real tritonserver that is killed, stopped and started again under a client that asks."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from inyeon.inference.catalogue import JUDGE
from inyeon.inference.guarded import GuardedInference
from inyeon.inference.opening import open_inference
from inyeon.inference.port import BankEntry, SpaceId
from inyeon.inference.settings import Hedge, InferenceSettings
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import InyeonError, Unavailable
from inyeon_stack import Triton
from tests.integration.triton_scene import BACK_S, NOTICED_S, models_dir, own_server, until

pytestmark = [pytest.mark.integration, pytest.mark.engine("triton")]

BUDGET_S = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """One of our own, because it is killed."""
    with own_server(tmp_path_factory.mktemp("triton")) as server:
        yield server


@asynccontextmanager
async def _client(server: Triton, hedge: Hedge = "off") -> AsyncIterator[GuardedInference]:
    settings = InferenceSettings(
        triton=server.grpc, bank_scope=uuid.uuid4().hex, models_dir=models_dir(), hedge=hedge
    )
    inference = await open_inference(settings, SystemClock(), CollectorRegistry())
    try:
        await until(lambda: not inference.degraded, BACK_S)
        yield inference
    finally:
        await inference.close()


def _space() -> SpaceId:
    from inyeon.inference.head import ContentHead

    return ContentHead.load(models_dir()).space


def _vector(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=64).astype(np.float32)


def _entries(count: int) -> list[BankEntry]:
    space = _space()
    return [BankEntry(f"e{i}", "nudity", space, _vector(i)) for i in range(count)]


async def test_a_killed_server_is_noticed_and_its_bank_is_back_with_it(server: Triton) -> None:
    """No opinion by an empty bank: the first answer after the restart knows every case."""
    async with _client(server) as inference:
        await inference.put_bank(_entries(500), generation=3)
        answer = await inference.judge_embedding(_space(), _vector(42), BUDGET_S)
        assert answer.hits[0].entry_id == "e42"
        await asyncio.to_thread(server.kill)
        await until(lambda: inference.degraded, NOTICED_S)
        with pytest.raises(Unavailable):
            await inference.judge_embedding(_space(), _vector(42), BUDGET_S)
        assert not await inference.ready()
        restart = asyncio.create_task(asyncio.to_thread(server.start))
        answers = 0
        async with asyncio.timeout(BACK_S):
            while answers < 20:
                try:
                    answer = await inference.judge_embedding(_space(), _vector(42), BUDGET_S)
                except InyeonError:
                    await asyncio.sleep(0.01)
                    continue
                assert answer.hits[0].entry_id == "e42"
                assert answer.models[-1] == "bank@3"
                answers += 1
        await restart
        assert not inference.degraded


async def test_a_stopped_server_is_noticed_and_taken_back_when_it_goes_on(server: Triton) -> None:
    """Its connection stays open and says nothing: only a probe tells."""
    async with _client(server) as inference:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: inference.degraded, NOTICED_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        await until(lambda: not inference.degraded, BACK_S)
        await inference.judge_embedding(_space(), _vector(1), BUDGET_S)


async def test_an_operator_may_let_this_process_answer_meanwhile(server: Triton) -> None:
    async with _client(server, "embedding") as inference:
        await inference.put_bank(_entries(50), generation=1)
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = await inference.judge_embedding(_space(), _vector(7), BUDGET_S)
            assert answer.hits[0].entry_id == "e7"
            assert not inference.degraded
            assert not await inference.ready()  # nobody gives an image vote
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_of_two_feeders_the_higher_generation_wins(server: Triton) -> None:
    scope = uuid.uuid4().hex
    settings = InferenceSettings(triton=server.grpc, bank_scope=scope, models_dir=models_dir())
    one = await open_inference(settings, SystemClock(), CollectorRegistry())
    two = await open_inference(settings, SystemClock(), CollectorRegistry())
    await until(lambda: not (one.degraded or two.degraded), BACK_S)
    await one.put_bank(_entries(30), generation=30)
    await two.put_bank(_entries(20), generation=20)
    for inference in (one, two):
        answer = await inference.judge_embedding(_space(), _vector(25), BUDGET_S)
        assert (answer.hits[0].entry_id, answer.models[-1]) == ("e25", "bank@30")
    await two.put_bank(_entries(31), generation=31)
    answer = await one.judge_embedding(_space(), _vector(30), BUDGET_S)
    assert (answer.hits[0].entry_id, answer.models[-1]) == ("e30", "bank@31")
    await one.close()
    await two.close()


async def test_questions_that_come_together_run_as_batches(server: Triton) -> None:
    """The server's own counters: fewer runs of the model than questions."""
    async with _client(server) as inference:
        before = await asyncio.to_thread(_counted, server)
        asked = [inference.judge_embedding(_space(), _vector(i), BUDGET_S) for i in range(256)]
        answers = await asyncio.gather(*asked)
        after = await asyncio.to_thread(_counted, server)
    assert len(answers) == 256
    questions, runs = (new - old for new, old in zip(after, before, strict=True))
    assert questions >= 256
    assert runs < questions / 2


def _counted(server: Triton) -> tuple[float, float]:
    """Questions to the judge, and runs of its model."""
    page = urllib.request.urlopen(f"http://{server.addresses[2]}/metrics", timeout=10).read()
    values = {
        sample.name.removesuffix("_total"): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.labels.get("model") == JUDGE
    }
    return values["nv_inference_count"], values["nv_inference_exec_count"]
