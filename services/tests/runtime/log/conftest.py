"""Helpers for the tests of the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.embedded import EmbeddedLog

WITHIN_S = 10.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    """A log in a file, on real time."""
    log = await EmbeddedLog.open(tmp_path / "log.db")
    yield log
    await log.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits until something is true; fails after 10 s."""

    async def wait(condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < deadline_s, "it never became true"
            await asyncio.sleep(0.002)

    return wait
