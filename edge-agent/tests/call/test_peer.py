"""Two people's calls in one process, over loopback, with real WebRTC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random

import numpy as np
import pytest

from inyeon_edge.call.addresses import loopback_only
from inyeon_edge.call.frames import OutgoingFrames
from inyeon_edge.call.peer import Call, CallState
from inyeon_edge.call.signalling import Signal, Signalling
from inyeon_edge.call.twin import SignallingTwin
from inyeon_edge.errors import CallFailed, StreamBroken, StreamRefused
from inyeon_edge.frame import Image
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import SystemClock
from inyeon_edge.uplink.facts import Statement

pytestmark = [pytest.mark.integration, pytest.mark.engine("aiortc")]

GRANT = Statement("k", b"grant", b"s" * 64)


@pytest.fixture(autouse=True)
def _loopback() -> Iterator[None]:
    with loopback_only():
        yield


class Person:
    """A call and what its person sees."""

    def __init__(self, offers: bool, signalling: Signalling, connect_s: float = 20.0) -> None:
        self.states: list[CallState] = []
        self.seen: list[Image] = []
        self.clock = SystemClock()
        self.frames = OutgoingFrames()
        self.call = Call(
            "m1",
            offers,
            GRANT,
            signalling,
            self.frames,
            self.seen.append,
            self.states.append,
            self.clock,
            Backoff(Random(1), first_s=0.01),
            connect_s,
        )

    async def show_moving_bar(self) -> None:
        """Feeds a picture whose bright bar moves, 30 times a second."""
        for step in range(100_000):
            image = np.full((240, 320, 3), 40, np.uint8)
            left = step * 8 % 280
            image[:, left : left + 40] = (200, 120, 60)
            self.frames.show(image, self.clock.monotonic())
            await asyncio.sleep(1 / 30)


async def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - a bounded poll
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*people: Person) -> AsyncIterator[list[asyncio.Task[None]]]:
    calls = [asyncio.create_task(person.call.run()) for person in people]
    shows = [asyncio.create_task(person.show_moving_bar()) for person in people]
    try:
        yield calls
    finally:
        for task in (*shows, *calls):
            task.cancel()
        await asyncio.gather(*shows, *calls, return_exceptions=True)


def _pair() -> tuple[Person, Person, SignallingTwin, SignallingTwin]:
    one, other = SignallingTwin.pair()
    return Person(True, one), Person(False, other), one, other


async def test_both_see_more_than_fifty_changing_frames_and_everything_closes() -> None:
    ann, ben, _, _ = _pair()
    async with running(ann, ben) as calls:
        await until(lambda: min(ann.call.counts.changed, ben.call.counts.changed) > 50)
        ann.call.hang_up()
        await asyncio.wait_for(asyncio.gather(*calls), 10)
    assert ann.states == [CallState.CONNECTING, CallState.CONNECTED, CallState.CLOSED]
    assert ben.states == ann.states
    assert ben.seen[-1].shape == (240, 320, 3)
    assert ben.seen[-1].mean() > 30
    assert ann.call.counts.sent >= 51
    assert len(asyncio.all_tasks()) == 1


async def test_only_loopback_addresses_are_offered() -> None:
    one, other = SignallingTwin.pair()
    heard: list[Signal] = []
    link = await other.open("m1", GRANT)
    ann = Person(True, one)
    async with running(ann):
        async with asyncio.timeout(10):
            while not heard:
                what = await link.hear()
                heard += [what] if isinstance(what, Signal) else []
    candidates = [line for line in heard[0].body.splitlines() if line.startswith("a=candidate")]
    assert candidates
    assert {line.split()[4] for line in candidates} == {"127.0.0.1"}
    assert "VP8" in heard[0].body
    assert "m=audio" not in heard[0].body


async def test_nobody_there_is_a_failed_call() -> None:
    one, _ = SignallingTwin.pair()
    ann = Person(True, one, connect_s=0.1)
    with pytest.raises(CallFailed) as failure:
        await ann.call.run()
    assert failure.value.reason == "CONNECT_FAILED"
    assert ann.states == [CallState.CONNECTING, CallState.FAILED]


async def test_a_refused_grant_is_a_failed_call() -> None:
    one, _ = SignallingTwin.pair()
    one.refuse_with = StreamRefused("no", code="PERMISSION_DENIED", reason="BAD_SIGNATURE")
    with pytest.raises(CallFailed) as failure:
        await Person(True, one).call.run()
    assert failure.value.reason == "BAD_SIGNATURE"


async def test_a_description_that_is_none_is_a_failed_call() -> None:
    one, other = SignallingTwin.pair()
    ann = Person(False, one)
    link = await other.open("m1", GRANT)
    task = asyncio.create_task(ann.call.run())
    await until(lambda: one.link is not None)
    await link.send("OFFER", "v=0\r\nm=nonsense")
    with pytest.raises(CallFailed):
        await asyncio.wait_for(task, 10)


async def test_signalling_that_breaks_is_opened_again_and_the_picture_goes_on() -> None:
    ann, ben, one, _ = _pair()
    async with running(ann, ben):
        await until(lambda: ben.call.counts.decoded > 0)
        assert one.link is not None
        one.link.put(StreamBroken("cut"))
        await until(lambda: len(one.grants) == 2 and one.link is not None)
        newer = Statement("k", b"newer", b"s" * 64)
        await ann.call.renew(newer)
        assert one.grants[-1] == newer
        before = ben.call.counts.decoded
        await until(lambda: ben.call.counts.decoded > before + 5)


async def test_a_partner_who_starts_again_is_offered_again() -> None:
    one, other = SignallingTwin.pair()
    ann, ben = Person(True, one), Person(False, other)
    async with running(ann):
        first = await other.open("m1", GRANT)
        await until(lambda: ann.call._pc is not None)
        first.close()
        async with running(ben):
            await until(lambda: ben.call.counts.decoded > 0)
