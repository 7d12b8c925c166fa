"""The log level on the embedded engines: processes killed with SIGKILL, nothing lost or doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from inyeon_chaos.engines import EmbeddedEngines
from inyeon_chaos.history import Kind, read_history
from inyeon_chaos.log_level import Crew, LogLevel
from inyeon_chaos.workload import Bug

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


@pytest.mark.timeout(180)  # two starts of 2 to 10 s, and 10 s for effects that never come
async def test_bugs_in_the_processes_under_test_are_found(tmp_path: Path) -> None:
    engines, crew = EmbeddedEngines(tmp_path), Crew(1, 1)
    async with LogLevel(tmp_path, engines, SEED, crew, bugs=tuple(Bug)) as level:
        async with asyncio.timeout(60):
            while len(level.customers.accepted) < 30:  # noqa: ASYNC110 - of processes
                await asyncio.sleep(0.1)
        verdict = await level.verdict(within_s=10.0)
    assert verdict.tally.lost > 0
    assert verdict.tally.doubled > 0
    found = {breach.invariant for breach in verdict.breaches}
    assert found >= {4, 7}
