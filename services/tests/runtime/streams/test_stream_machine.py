"""Random lives of a session: what is handled once, and what is acknowledged is never lost.

The device here is a model of a careful one: it keeps what is not acknowledged and sends it again
after each resume. Around that it repeats, leaves gaps, vanishes and opens twice at random.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inyeon.runtime.streams.port import CloseReason
from inyeon.runtime.streams.settings import StreamSettings
from inyeon_protos.common.v1 import stream_pb2 as pb

pytestmark = pytest.mark.unit


class SessionLife(RuleBasedStateMachine):
    """One session of one user against a real server over gRPC."""

    run_async: Callable[[Coroutine[Any, Any, Any]], Any]
    start: Callable[[], Any]
    connect: Callable[[Any], Any]
    make_window: Callable[[int], Any]
    eventually: Callable[[Callable[[], bool]], Any]
    names = iter(range(10**9))

    def __init__(self) -> None:
        super().__init__()
        self.name = f"s{next(self.names)}"
        self.running = self.run_async(self._begin())
        self.handler = self.running.handler
        self.device: Any = None
        self.next = 1
        self.acknowledged = 0
        self.told: dict[int, int] = {}
        self.first_event = len(self.handler.events)

    async def _begin(self) -> Any:
        return await self.start()

    @rule()
    def open_stream(self) -> None:
        """Opens, whether or not a stream is open already: the newer one replaces the older."""
        self.run_async(self._open())

    @precondition(lambda self: self.device is not None)
    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        self.run_async(self._send(range(self.next, self.next + count)))
        self.next += count

    @precondition(lambda self: self.device is not None and self.next > 1)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.run_async(self._send([data.draw(st.integers(1, self.next - 1))]))

    @precondition(lambda self: self.device is not None)
    @rule(hole=st.integers(1, 3))
    def leave_a_gap(self, hole: int) -> None:
        self.run_async(self._gap(self.next + hole))

    @precondition(lambda self: self.device is not None)
    @rule()
    def wait_for_acknowledgement(self) -> None:
        self.run_async(self._settle())

    @precondition(lambda self: self.device is not None)
    @rule()
    def vanish(self) -> None:
        self.device.cut()
        self.device = None

    @precondition(lambda self: self.device is not None)
    @rule()
    def close(self) -> None:
        self.run_async(self._close())

    @invariant()
    def each_epoch_hears_each_message_once_from_where_it_was_told(self) -> None:
        heard: dict[int, list[int]] = {}
        for epoch, sequence in self._events("received"):
            heard.setdefault(epoch, []).append(sequence)
        for epoch, sequences in heard.items():
            first = self.told[epoch] + 1
            assert sequences == list(range(first, first + len(sequences)))

    def teardown(self) -> None:
        """The careful device comes back and finishes: then everything it sent was handled."""
        self.run_async(self._finish())
        handled = {sequence for _, sequence in self._events("received")}
        assert handled >= set(range(1, self.next))
        opened = [epoch for _, epoch in self._events("opened")]
        closed = [epoch for epoch, _ in self._events("closed")]
        assert sorted(opened) == sorted(closed), "each opened session is closed exactly once"

    def _events(self, kind: str) -> list[Any]:
        return [e[1:] for e in self.handler.events[self.first_event :] if e[0] == kind]

    async def _open(self) -> None:
        self.device = await self.connect(self.running)
        opened = await self.device.opened(self.name)
        self.told[opened.epoch] = opened.acknowledged
        assert opened.acknowledged >= self.acknowledged, "an acknowledgement was lost"
        self.acknowledged = opened.acknowledged
        await self._send(range(opened.acknowledged + 1, self.next))

    async def _send(self, sequences: Any) -> None:
        for sequence in sequences:
            await self.device.write(self.make_window(sequence))

    async def _settle(self) -> None:
        if self.next - 1 > self.acknowledged:
            await self.device.ack(self.next - 1)
            self.acknowledged = self.next - 1

    async def _gap(self, sequence: int) -> None:
        await self._send([sequence])
        code, reason, _ = await self.device.refusal()
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SEQUENCE_GAP")
        self.device = None

    async def _close(self) -> None:
        await self.device.control(close=pb.StreamClose())
        assert (await self.device.ending()).reason == pb.STREAM_END_REASON_CLOSED
        self.device = None

    async def _finish(self) -> None:
        await self._open()
        await self._settle()
        await self._close()
        streams = self.running.streams
        await self.eventually(lambda: not streams.open_streams and not streams._tasks)
        reasons = {reason for _, reason in self._events("closed")}
        assert CloseReason.CLIENT_CLOSED in reasons


async def test_random_lives(
    observe: Any, observing: Any, make_window: Any, recorder: Any, eventually: Any
) -> None:
    running = await observe(handler=recorder(), settings=StreamSettings(max_in_flight=4))
    loop = asyncio.get_running_loop()

    def run_async(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    async def start() -> Any:
        return running

    class Bound(SessionLife):
        pass

    Bound.run_async = staticmethod(run_async)
    Bound.start = staticmethod(start)
    Bound.connect = staticmethod(observing)
    Bound.make_window = staticmethod(make_window)
    Bound.eventually = staticmethod(eventually)
    quick = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    # hypothesis is synchronous: it runs in a thread, the server and the devices in this loop.
    await asyncio.to_thread(run_state_machine_as_test, Bound, settings=quick)
