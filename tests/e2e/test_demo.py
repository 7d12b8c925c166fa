"""The demo itself: every step must be seen to happen, with real models, video and engines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("INYEON_MODELS_DIR", ROOT / "build" / "models")).resolve()
DEMO_S = 540.0  # every step's own bound is far below; the sum of a slow machine fits


@dataclass(frozen=True)
class Demo:
    """What a run of the demo left."""

    status: int
    steps: list[dict[str, Any]]
    said: str


async def demo_once(**environment: str) -> Demo:
    """`inyeon demo --once` as people run it, in a process of its own: its memory is measured."""
    measured = ["-m", "coverage", "run"] if coverage.Coverage.current() else []
    command = [*measured, "-m", "inyeon", "demo", "--once", "--json", "--free-ports"]
    settings = {**os.environ, "INYEON_MODELS_DIR": str(MODELS), **environment}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), DEMO_S)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    steps = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    return Demo(process.returncode or 0, steps, err.decode())


def need_models() -> None:
    if not (MODELS / "index.json").exists():
        assert "CI" not in os.environ, "the models must be built in CI"
        pytest.skip(f"no models in {MODELS}: run `make models`")


async def test_every_step_of_the_demo_happens() -> None:
    need_models()
    demo = await demo_once()
    missed = [(s["key"], s["detail"]) for s in demo.steps if s["state"] != "done"]
    assert not missed, f"{missed}\n{demo.said[-6000:]}"
    assert demo.status == 0
    assert len(demo.steps) >= 15


async def test_without_apertium_chat_arrives_untranslated_and_says_so(tmp_path: Path) -> None:
    need_models()
    demo = await demo_once(INYEON_TOOLS_DIR=str(tmp_path), INYEON_TRANSLATION_APERTIUM="false")
    (chat,) = [step for step in demo.steps if step["key"] == "chat"]
    assert chat["state"] == "done", demo.said[-6000:]
    assert chat["detail"].count("no Apertium here: 6 of 6 untranslated") == 2
    assert demo.status == 0


async def test_a_platform_that_refuses_to_start_fails_the_demo() -> None:
    need_models()
    demo = await demo_once(INYEON_GRPC_PRT="7400")
    assert demo.status == 1
    assert demo.steps[0]["state"] == "failed"
    assert {step["state"] for step in demo.steps[1:]} == {"open"}
    assert "INYEON_GRPC_PRT" in demo.said
