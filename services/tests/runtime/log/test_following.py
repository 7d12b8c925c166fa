"""Every replica applies everything, and says when it has caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import ConsumerStopped
from inyeon.runtime.log import following
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.following import follow
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.poison import PoisonLimit, PoisonRecord
from inyeon.runtime.log.port import NewRecord, Record, TopicSpec

pytestmark = pytest.mark.unit

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog()
    await log.create_topics([TopicSpec("plain"), TopicSpec("state", compacted=True)])
    return log


async def _publish(log: MemoryLog, version: int | str, value: bytes | None) -> None:
    await log.publish([NewRecord("state", "k", value, {"version": str(version)})])


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_applies_the_newest_and_says_when_it_has_caught_up(
    log: MemoryLog, eventually: Eventually
) -> None:
    for version, value in ((1, b"1"), (3, b"3"), (2, b"2"), (4, None)):
        await _publish(log, version, value)
    await log.publish([NewRecord("plain", "p", b"x"), NewRecord("plain", "p", b"x")])
    got: list[tuple[str, bytes | None]] = []
    caught_up = asyncio.Event()

    def apply(record: Record) -> None:
        assert not caught_up.is_set() or record.value == b"5"
        got.append((record.key, record.value))

    topics = ["plain", "state"]
    task = asyncio.create_task(
        follow(log, topics, apply, clock=SystemClock(), caught_up=caught_up, state_topics={"state"})
    )
    await asyncio.wait_for(caught_up.wait(), 10)
    assert sorted(got, key=repr) == sorted(
        [("k", b"1"), ("k", b"3"), ("k", None), ("p", b"x"), ("p", b"x")], key=repr
    )
    await _publish(log, 5, b"5")
    await eventually(lambda: got[-1] == ("k", b"5"))
    await _stop(task)


async def test_leaves_poison_out_and_stops_when_it_is_too_much(
    log: MemoryLog, eventually: Eventually
) -> None:
    got: list[bytes | None] = []

    async def apply(record: Record) -> None:
        if record.value == b"bad":
            raise PoisonRecord("NONSENSE")
        got.append(record.value)

    await _publish(log, 1, b"bad")
    await _publish(log, "none", b"without a version")
    await _publish(log, 2, b"good")
    limit = PoisonLimit(in_a_row=3)
    task = asyncio.create_task(
        follow(log, ["state"], apply, clock=SystemClock(), state_topics={"state"}, limit=limit)
    )
    await eventually(lambda: got == [b"good"])
    for version in (3, 4, 5):
        await _publish(log, version, b"bad")
    with pytest.raises(ConsumerStopped, match="3 in a row"):
        await asyncio.wait_for(task, 10)


async def test_memory_that_may_be_wrong_is_not_served(log: MemoryLog) -> None:
    def apply(record: Record) -> None:
        raise KeyError("bug")

    await _publish(log, 1, b"v")
    with pytest.raises(KeyError):
        await follow(log, ["state"], apply, clock=SystemClock())


async def test_waits_out_an_outage(
    log: MemoryLog, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BACKOFF_S", 0.002)
    monkeypatch.setattr(following, "POLL_S", 0.002)
    got: list[bytes | None] = []
    log.outage = True
    task = asyncio.create_task(
        follow(log, ["state"], lambda r: got.append(r.value), clock=SystemClock())
    )
    await asyncio.sleep(0)
    log.outage = False
    await _publish(log, 1, b"1")
    await eventually(lambda: got == [b"1"])
    log.outage = True
    await asyncio.sleep(0)
    log.outage = False
    await _publish(log, 2, b"2")
    await eventually(lambda: got == [b"1", b"2"])
    await _stop(task)


async def test_what_became_of_records_is_counted(log: MemoryLog, eventually: Eventually) -> None:
    registry = CollectorRegistry()

    def apply(record: Record) -> None:
        if record.value == b"bad":
            raise PoisonRecord("NONSENSE")

    for version, value in ((2, b"new"), (1, b"old"), (3, b"bad")):
        await _publish(log, version, value)
    metrics = ConsumerMetrics(registry)
    following_it = follow(
        log, ["state"], apply, clock=SystemClock(), state_topics={"state"}, metrics=metrics
    )
    task = asyncio.create_task(following_it)

    def count(fate: str) -> float | None:
        labels = {"group": "all", "topic": "state", "fate": fate}
        return registry.get_sample_value("inyeon_consumer_records_total", labels)

    await eventually(lambda: [count(f) for f in ("applied", "seen", "poison")] == [1, 1, 1])
    await _stop(task)
