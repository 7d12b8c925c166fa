"""A hang explains itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.stuck import StuckDetector

pytestmark = pytest.mark.unit


async def test_says_what_is_stuck_where_and_again(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    detector = StuckDetector("consumer g", clock, 30.0)
    watching = asyncio.create_task(detector.run())

    async def waits_for_ever() -> None:
        with detector.working("t/0@5"):
            await asyncio.Event().wait()

    worker = asyncio.create_task(waits_for_ever())
    await clock.advance(0)
    await clock.advance(29)
    assert not caplog.records
    await clock.advance(10)
    assert "consumer g is stuck: t/0@5 for 30 s" in caplog.text
    assert "waits_for_ever" in caplog.text
    await clock.advance(20)
    assert len(caplog.records) == 1
    await clock.advance(20)
    assert len(caplog.records) == 2
    for task in (worker, watching):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_says_nothing_while_work_goes_on(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    detector = StuckDetector("consumer g", clock, 30.0)
    watching = asyncio.create_task(detector.run())
    await clock.advance(0)
    for _ in range(5):
        with detector.working("t/0@5"):
            await clock.advance(20)
    await clock.advance(100)
    assert not caplog.records
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
