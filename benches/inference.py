"""What heavy models cost: embeddings judged by head and banks, and one vote of each image model.

    python benches/inference.py [--json] [--triton] [--rate 200] [--seconds 10] [--entries 10000]

In this process, and with `--triton` on a tritonserver of its own too (where it is missing that half
is left out and said). Embeddings arrive open-loop at `rate`, whatever the answers do: the moment an
embedding was due counts. Then as fast as CALLERS can ask. Embeddings and pictures are noise.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import Row, progress, report
from prometheus_client import CollectorRegistry

from inyeon.inference.catalogue import IMAGE_MODELS
from inyeon.inference.engine import Models
from inyeon.inference.export import export
from inyeon.inference.guarded import GuardedInference
from inyeon.inference.in_process import InProcessEngine
from inyeon.inference.opening import open_inference
from inyeon.inference.port import BankEntry
from inyeon.inference.settings import InferenceSettings
from inyeon.inference.triton import TritonEngine
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import InyeonError
from inyeon.runtime.telemetry import configure_logging
from inyeon_stack import EngineMissing, Triton

BENCH = "inference"
CALLERS = 64
VOTES = 20
BUDGET_S = 5.0
START_S = 60.0

Judge = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """What is asked."""

    rate: int
    seconds: int
    entries: int


async def figures_of(where: str, address: str, load: Load) -> list[Row]:
    """All figures of the models at `address`; empty: in this process."""
    settings = InferenceSettings(triton=address, bank_scope=uuid.uuid4().hex)
    models = Models.load(settings.models_dir)
    inference = await open_inference(settings, SystemClock(), CollectorRegistry())
    try:
        async with asyncio.timeout(START_S):
            while inference.degraded:  # noqa: ASYNC110 - a flag, not an event
                await asyncio.sleep(0.05)
        rows = [Row(BENCH, _feeding(where, load), await _feed(inference, models, load), "s")]
        judge = _judging(inference, models)
        rows += await _open_loop(where, judge, load)
        rows += await _closed_loop(where, judge, load.seconds)
    finally:
        await inference.close()
    return rows + await _votes(where, settings, models)


def _feeding(where: str, load: Load) -> str:
    return f"{where}: feed {load.entries} entries"


async def _feed(inference: GuardedInference, models: Models, load: Load) -> float:
    space = models.head.space
    vectors = np.random.default_rng(0).normal(size=(load.entries, space.dims)).astype(np.float32)
    bank = [BankEntry(f"e{i}", f"b{i % 3}", space, row) for i, row in enumerate(vectors)]
    began = time.perf_counter()
    await inference.put_bank(bank, 1)
    return time.perf_counter() - began


def _judging(inference: GuardedInference, models: Models) -> Judge:
    vectors = np.random.default_rng(1).normal(size=(256, models.head.space.dims)).astype(np.float32)
    count = iter(range(1 << 40))

    async def judge() -> None:
        vector = vectors[next(count) % len(vectors)]
        await inference.judge_embedding(models.head.space, vector, BUDGET_S)

    return judge


async def _open_loop(where: str, judge: Judge, load: Load) -> list[Row]:
    took, lost = list[float](), 0

    async def one(due: float) -> None:
        nonlocal lost
        try:
            await judge()
        except InyeonError:
            lost += 1
        else:
            took.append((time.perf_counter() - due) * 1e3)

    began, tasks = time.perf_counter(), []
    for number in range(load.rate * load.seconds):
        due = began + number / load.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.ensure_future(one(due)))
    await asyncio.gather(*tasks)
    at = f"{where}: embeddings at {load.rate}/s"
    return [*_quantiles(at, took), Row(BENCH, f"{at}, lost", lost, "answers", 0, "lower")]


async def _closed_loop(where: str, judge: Judge, seconds: int) -> list[Row]:
    began, took = time.perf_counter(), list[float]()

    async def caller() -> None:
        while (asked := time.perf_counter()) < began + seconds:
            await judge()
            took.append((time.perf_counter() - asked) * 1e3)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    per_s = len(took) / (time.perf_counter() - began)
    at = f"{where}: embeddings, {CALLERS} callers"
    return [*_quantiles(at, took), Row(BENCH, at, per_s, "1/s")]


async def _votes(where: str, settings: InferenceSettings, models: Models) -> list[Row]:
    engine = (
        TritonEngine(settings.triton, settings.bank_scope, models, SystemClock())
        if settings.triton
        else InProcessEngine(models, settings.threads)
    )
    picture = np.random.default_rng(2).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    rows: list[Row] = []
    for model in IMAGE_MODELS:
        await engine.vote(model, picture, BUDGET_S)
        took: list[float] = []
        for _ in range(VOTES):
            began = time.perf_counter()
            await engine.vote(model, picture, BUDGET_S)
            took.append((time.perf_counter() - began) * 1e3)
        rows += _quantiles(f"{where}: a vote of {model.product}", took)
    await engine.close()
    return rows


def _quantiles(metric: str, took_ms: list[float]) -> list[Row]:
    return [
        Row(BENCH, f"{metric}, p{q}", float(np.percentile(took_ms, q)), "ms", None, "lower")
        for q in (50, 95)
    ]


def _on_triton(models_dir: Path, load: Load) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-") as folder:
        export(models_dir, Path(folder) / "repository", "python")
        server = Triton(Path(folder) / "run", Path(folder) / "repository")
        try:
            server.start()
            return asyncio.run(figures_of("triton", server.grpc, load))
        except EngineMissing as missing:
            progress(f"without Triton: {missing}")
            return []
        finally:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Figures of the heavy models.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--triton", action="store_true", help="also on a tritonserver of its own")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--entries", type=int, default=10_000)
    chosen = parser.parse_args()
    built = Path(os.environ.get("INYEON_MODELS_DIR") or "build/models")
    if not (built / "index.json").exists():
        raise SystemExit(f"no models in {built}: run `make models` first")
    configure_logging("WARNING", readable=True)
    asked = Load(chosen.rate, chosen.seconds, chosen.entries)
    found = asyncio.run(figures_of("in process", "", asked))
    if chosen.triton:
        found += _on_triton(built, asked)
    raise SystemExit(report(found, as_json=chosen.json))
