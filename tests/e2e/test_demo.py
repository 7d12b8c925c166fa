"""The demo itself: every step must be seen to happen, with real models, video and engines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from inyeon.cli.demo.run import DemoOptions, run_demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MODELS = Path(os.environ.get("INYEON_MODELS_DIR", "build/models")).resolve()


async def test_every_step_of_the_demo_happens(capsys: pytest.CaptureFixture[str]) -> None:
    if not (MODELS / "index.json").exists():
        assert "CI" not in os.environ, "the models must be built in CI"
        pytest.skip(f"no models in {MODELS}: run `make models`")
    options = DemoOptions(once=True, seed=7, as_json=True, models_dir=MODELS, free_ports=True)
    status = await run_demo(options)
    out, err = capsys.readouterr()
    steps = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    missed = [(s["key"], s["detail"]) for s in steps if s["state"] != "done"]
    assert not missed, f"{missed}\n{err[-6000:]}"
    assert status == 0
    assert len(steps) >= 15


async def test_a_platform_that_refuses_to_start_fails_the_demo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INYEON_GRPC_PRT", "7400")
    options = DemoOptions(once=True, seed=7, as_json=True, models_dir=MODELS, free_ports=True)
    status = await run_demo(options)
    out, err = capsys.readouterr()
    steps = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert status == 1
    assert steps[0]["state"] == "failed"
    assert {step["state"] for step in steps[1:]} == {"open"}
    assert "INYEON_GRPC_PRT" in err
