"""The log contract over both logs of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import Log
from tests.contract.log_contract import LogContract

pytestmark = pytest.mark.contract


class _WithManualClock(LogContract):
    clock: ManualClock

    async def pass_time(self, duration: timedelta) -> None:
        await self.clock.advance(duration.total_seconds())


class TestMemoryLog(_WithManualClock):
    @pytest.fixture
    async def log(self) -> AsyncIterator[Log]:
        self.clock = ManualClock()
        log = MemoryLog(self.clock)
        yield log
        await log.close()


@pytest.mark.engine("sqlite")
class TestEmbeddedLog(_WithManualClock):
    @pytest.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[Log]:
        self.clock = ManualClock()
        log = await EmbeddedLog.open(tmp_path / "log.db", self.clock)
        yield log
        await log.close()
