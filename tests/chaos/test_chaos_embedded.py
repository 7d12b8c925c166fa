"""The log level on the embedded engines: processes killed with SIGKILL, nothing lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from inyeon_chaos.engines import EmbeddedEngines
from inyeon_chaos.history import Kind, read_history
from inyeon_chaos.log_level import Crew, LogLevel

pytestmark = pytest.mark.chaos

SEED = 20261123


@pytest.mark.timeout(180)  # two starts and two more after kills, 2 to 10 s each on a busy machine
async def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    async with LogLevel(tmp_path, EmbeddedEngines(tmp_path), SEED, Crew(1, 1)) as level:
        for victim in level.children:
            await level.kill(victim)
        await level.watcher.recovery(level.history.entries[-1].at_s, "kills")
        verdict = await level.verdict()
    assert verdict.breaches == []
    assert verdict.crashes == 0
    assert verdict.tally.lost == verdict.tally.doubled == 0
    assert verdict.tally.accepted > 0
    written = read_history(tmp_path / "history.jsonl")
    assert [e.text("target") for e in written if e.kind is Kind.FAULT] == [
        "producer-0",
        "consumer-0",
    ]
