"""Small worlds for the simulator's tests."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inyeon.matching.simulation.scenario import Scenario, shipped_scenario

MakeScenario = Callable[..., Scenario]


@pytest.fixture
def scenario() -> MakeScenario:
    """The evening, shorter, with changes."""

    def make(**changes: Any) -> Scenario:
        short = {"duration_s": 120.0, "warm_up_s": 10.0, **changes}
        return dataclasses.replace(shipped_scenario("evening"), **short)

    return make


@pytest.fixture
def reciprocal() -> Path:
    """The data that calibration reads."""
    folder = Path(os.environ.get("INYEON_DATA", "../shared/data")) / "reciprocal"
    if not (folder / "CollegeMsg.txt").exists():
        pytest.skip(f"no data in {folder}: set INYEON_DATA")
    return folder
