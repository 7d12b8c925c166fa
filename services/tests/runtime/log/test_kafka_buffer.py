"""The hand-over between a thread and the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest

from inyeon.runtime.log import kafka_buffer
from inyeon.runtime.log.kafka_buffer import HandOver
from inyeon.runtime.log.port import Record

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def records(count: int, partition: int = 0, size: int = 1) -> list[Record]:
    return [Record("t", partition, i, "k", b"x" * size, {}, NOW) for i in range(count)]


async def test_gives_records_in_order_and_no_more_than_asked() -> None:
    buffer = HandOver(asyncio.get_running_loop())
    buffer.put(records(5))
    assert [r.offset for r in buffer.take(2)] == [0, 1]
    assert [r.offset for r in buffer.take(9)] == [2, 3, 4]
    assert buffer.take(1) == []


async def test_is_full_by_count_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_buffer, "MOST_RECORDS", 3)
    monkeypatch.setattr(kafka_buffer, "MOST_BYTES", 1_000)
    buffer = HandOver(asyncio.get_running_loop())
    buffer.put(records(3))
    assert buffer.full()
    buffer.take(1)
    assert not buffer.full()
    buffer.put(records(1, size=1_000))
    buffer.take(2)
    assert buffer.full()
    buffer.take(1)
    assert not buffer.full()


async def test_room_wakes_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_buffer, "MOST_RECORDS", 1)
    buffer = HandOver(asyncio.get_running_loop())
    assert buffer.wait_for_room(0.0)
    buffer.put(records(1))
    assert not buffer.wait_for_room(0.01)
    waiting = asyncio.create_task(asyncio.to_thread(buffer.wait_for_room, 30.0))
    await asyncio.sleep(0)
    buffer.take(1)
    assert await asyncio.wait_for(waiting, 10)


async def test_a_nudge_ends_the_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_buffer, "MOST_RECORDS", 1)
    buffer = HandOver(asyncio.get_running_loop())
    buffer.put(records(1))
    started_s = time.monotonic()
    waiting = asyncio.create_task(asyncio.to_thread(buffer.wait_for_room, 30.0))
    while not waiting.done():
        buffer.nudge()
        await asyncio.sleep(0.01)
    assert not await waiting
    assert time.monotonic() - started_s < 10


async def test_records_wake_the_task() -> None:
    buffer = HandOver(asyncio.get_running_loop())
    waiting = asyncio.create_task(buffer.wait(30.0))
    await asyncio.sleep(0)
    threading.Thread(target=buffer.put, args=(records(1),)).start()
    await asyncio.wait_for(waiting, 10)
    assert len(buffer.take(1)) == 1


async def test_news_before_the_wait_is_not_lost() -> None:
    buffer = HandOver(asyncio.get_running_loop())
    buffer.wake()
    await asyncio.wait_for(buffer.wait(30.0), 10)
    started_s = time.monotonic()
    await buffer.wait(0.05)
    assert time.monotonic() - started_s >= 0.04


async def test_forgets_what_was_lost() -> None:
    buffer = HandOver(asyncio.get_running_loop())
    buffer.put([*records(2, partition=0), *records(3, partition=1)])
    assert buffer.waiting() == {"t": 5}
    buffer.drop({("t", 0)})
    assert {r.partition for r in buffer.take(9)} == {1}
    buffer.put(records(2))
    buffer.drop()
    assert buffer.take(9) == []
