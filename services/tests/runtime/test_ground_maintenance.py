"""A log that is away for a moment does not end the process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.ground import MAINTAIN_EVERY_S, SharedGround
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.settings import RuntimeSettings

pytestmark = pytest.mark.unit


class CountedLog(MemoryLog):
    """Counts what is asked of it."""

    asked = 0

    async def maintain(self) -> None:
        self.asked += 1
        await super().maintain()


@pytest.fixture
async def clock() -> AsyncIterator[ManualClock]:
    yield ManualClock()


async def test_maintenance_goes_on_after_an_outage(tmp_path: Path, clock: ManualClock) -> None:
    ground = await SharedGround.open(RuntimeSettings(data_dir=tmp_path), clock)
    await ground.log.close()
    ground.log = log = CountedLog(clock)
    log.outage = True
    (maintenance,) = [task for task in ground.tasks if task.name == "log-maintenance"]
    running = asyncio.ensure_future(maintenance.run())
    try:
        for _ in range(3):
            await clock.advance(MAINTAIN_EVERY_S)
        assert not running.done()
        assert log.asked >= 2
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        for closer in reversed(ground.closers):
            await closer()
