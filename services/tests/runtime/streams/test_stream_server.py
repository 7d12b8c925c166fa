"""The stream protocol from a device's side, over real gRPC."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import grpc
import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import NotFound, SessionOver
from inyeon.runtime.streams.port import CloseReason
from inyeon.runtime.streams.sessions import MemorySessions
from inyeon.runtime.streams.settings import StreamSettings
from inyeon_protos.common.v1 import stream_pb2 as pb
from inyeon_protos.moderation.v1 import safety_pb2

pytestmark = pytest.mark.unit


async def test_a_stream_opens_is_acknowledged_and_closes(
    observe: Any, observing: Any, make_window: Any, eventually: Any
) -> None:
    running = await observe()
    device = await observing(running)
    opened = await device.opened()
    assert (opened.epoch, opened.acknowledged, opened.max_in_flight) == (1, 0, 256)
    assert 800 < opened.token_expires_in.seconds <= 900
    assert opened.max_age.seconds == 660
    for sequence in (1, 2, 3):
        await device.write(make_window(sequence))
    await device.ack(3)
    await device.control(close=pb.StreamClose())
    assert (await device.ending()).reason == pb.STREAM_END_REASON_CLOSED
    assert running.handler.of("received") == [(1, 1), (1, 2), (1, 3)]
    assert running.handler.of("closed") == [(1, CloseReason.CLIENT_CLOSED)]
    await eventually(lambda: running.streams.open_streams == 0)


async def test_state_follows_the_opening_and_numbers_rise(observe: Any, observing: Any) -> None:
    running = await observe()

    async def tell_state(session: Any) -> None:
        message = safety_pb2.ObserveResponse(policy=safety_pb2.PolicyInForce(name="p"))
        assert session.send(message) == 1
        assert session.send(message) == 2

    running.handler.on_opened = tell_state
    device = await observing(running)
    await device.opened()
    assert [(await device.read()).sequence for _ in range(2)] == [1, 2]
    await device.control(received=pb.StreamReceived(through=2))
    await device.control(received=pb.StreamReceived(through=1))
    await device.control(close=pb.StreamClose())
    await device.ending()
    assert running.handler.of("client_received") == [(1, 2)]
    assert running.handler.sessions[0].received_by_client == 2


async def test_a_resumed_session_goes_on_where_it_was(
    observe: Any, observing: Any, make_window: Any
) -> None:
    running = await observe()
    first = await observing(running)
    await first.opened()
    await first.write(make_window(1))
    await first.ack(1)
    running.handler.acknowledges = False
    await first.write(make_window(2))
    first.cut()

    second = await observing(running)
    opened = await second.opened(resume_after=7)
    assert (opened.epoch, opened.acknowledged) == (2, 1)
    info = running.handler.sessions[-1].info
    assert (info.resumed, info.resume_after) == (True, 7)
    running.handler.acknowledges = True
    await second.write(make_window(2))
    await second.ack(2)
    assert running.handler.of("received")[-1] == (2, 2)
    message = safety_pb2.ObserveResponse(policy=safety_pb2.PolicyInForce(name="p"))
    assert running.handler.sessions[-1].send(message) == 8


async def test_server_numbers_go_on_after_what_was_sent(observe: Any, observing: Any) -> None:
    running = await observe()
    first = await observing(running)
    await first.opened()
    message = safety_pb2.ObserveResponse(policy=safety_pb2.PolicyInForce(name="p"))
    for _ in range(3):
        running.handler.sessions[-1].send(message)
    await first.control(close=pb.StreamClose())
    await first.ending()
    second = await observing(running)
    await second.opened()
    assert running.handler.sessions[-1].send(message) == 4


async def test_a_message_sent_twice_is_two_messages(observe: Any, observing: Any) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    shared = safety_pb2.ObserveResponse(policy=safety_pb2.PolicyInForce(name="p"))
    session = running.handler.sessions[-1]
    session.send(shared)
    session.send(shared)
    assert [(await device.read()).sequence for _ in range(2)] == [1, 2]


async def test_repeats_are_dropped_and_acknowledged_again(
    observe: Any, observing: Any, make_window: Any
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    for sequence in (1, 2):
        await device.write(make_window(sequence))
    await device.ack(2)
    await device.write(make_window(1))
    assert (await device.read()).control.ack.through == 2
    assert running.handler.of("received") == [(1, 1), (1, 2)]


@pytest.mark.parametrize("sequence", [0, 2, 2**40])
async def test_gaps_are_refused(
    observe: Any, observing: Any, make_window: Any, sequence: int
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    await device.write(make_window(sequence))
    refusal = (grpc.StatusCode.INVALID_ARGUMENT, "SEQUENCE_GAP", "sequence")
    assert await device.refusal() == refusal
    assert running.handler.of("closed") == [(1, CloseReason.FAILED)]


def _control(**kind: Any) -> safety_pb2.ObserveRequest:
    return safety_pb2.ObserveRequest(control=pb.ClientControl(**kind))


_NOTHING_SENT = pb.StreamReceived(through=9)
_OPEN = pb.StreamOpen(client_id="c", session_id="s", protocol_version=1)


def _bad_opening(**change: Any) -> safety_pb2.ObserveRequest:
    opening = pb.StreamOpen()
    opening.CopyFrom(_OPEN)
    for name, value in change.items():
        setattr(opening, name, value)
    return _control(open=opening)


@pytest.mark.parametrize(
    ("first", "reason", "field"),
    [
        (safety_pb2.ObserveRequest(sequence=1), "OPEN_FIRST", "control.open"),
        (_control(close=pb.StreamClose()), "OPEN_FIRST", "control.open"),
        (_bad_opening(protocol_version=2), "OUT_OF_RANGE", "control.open.protocol_version"),
        (_bad_opening(session_id="no spaces"), "PATTERN", "control.open.session_id"),
        (_bad_opening(client_id=""), "REQUIRED", "control.open.client_id"),
        (_bad_opening(resume_after=2**60), "INVALID_FIELD", "control.open.resume_after"),
        (
            safety_pb2.ObserveRequest(control=pb.ClientControl(open=_OPEN), sequence=1),
            "INVALID_FIELD",
            "control",
        ),
    ],
)
async def test_a_bad_opening_is_refused_by_field(
    observe: Any, observing: Any, first: Any, reason: str, field: str
) -> None:
    running = await observe()
    device = await observing(running)
    await device.write(first)
    assert await device.refusal() == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)
    assert running.handler.events == []


@pytest.mark.parametrize(
    ("later", "reason", "field"),
    [
        (_bad_opening(), "ALREADY_OPEN", "control.open"),
        (_control(), "INVALID_FIELD", "control.kind"),
        (
            _control(received=pb.StreamReceived(through=9)),
            "INVALID_FIELD",
            "control.received.through",
        ),
        (safety_pb2.ObserveRequest(sequence=1), "REQUIRED", "kind"),
    ],
)
async def test_a_bad_message_ends_the_stream_by_field(
    observe: Any, observing: Any, later: Any, reason: str, field: str
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    await device.write(later)
    assert await device.refusal() == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)
    assert running.handler.of("closed") == [(1, CloseReason.FAILED)]


async def test_a_broken_rule_names_its_field(
    observe: Any, observing: Any, make_window: Any
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    request = make_window(1)
    request.window.presence_share = float("nan")
    await device.write(request)
    refusal = (grpc.StatusCode.INVALID_ARGUMENT, "NOT_FINITE", "window.presence_share")
    assert await device.refusal() == refusal


async def test_a_silent_opening_times_out(observe: Any, observing: Any) -> None:
    running = await observe(settings=StreamSettings(open_timeout_s=0.05))
    device = await observing(running)
    assert await device.refusal() == (grpc.StatusCode.DEADLINE_EXCEEDED, "OPEN_TIMEOUT", "")


async def test_a_stream_without_any_message_is_refused(observe: Any, observing: Any) -> None:
    device = await observing(await observe())
    await device.half_close()
    assert (await device.refusal())[1] == "OPEN_FIRST"


async def test_no_token_no_stream(observe: Any, observing: Any) -> None:
    running = await observe()
    device = await observing(running, token="")
    refusal = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "authorization")
    assert await device.refusal() == refusal


async def test_a_foreign_session_is_refused(observe: Any, observing: Any, identity: Any) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    other = await observing(running, token=identity.token("u2"))
    await other.open()
    code, reason, _ = await other.refusal()
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SESSION_FOREIGN")
    assert running.handler.of("closed") == []


async def test_the_newer_stream_of_a_session_replaces_the_older(
    observe: Any, observing: Any
) -> None:
    running = await observe()
    first = await observing(running)
    await first.opened()
    second = await observing(running)
    assert (await second.opened()).epoch == 2
    assert (await first.ending()).reason == pb.STREAM_END_REASON_SUPERSEDED
    kinds = [event[0] for event in running.handler.events]
    assert kinds == ["opened", "closed", "opened"], "a session is closed before it opens again"
    assert running.streams.open_streams == 1


async def test_another_replica_supersedes_at_the_next_write(
    observe: Any, observing: Any, identity: Any, make_window: Any
) -> None:
    shared = MemorySessions(identity.clock)
    here, there = await observe(sessions=shared), await observe(sessions=shared)
    first = await observing(here)
    await first.opened()
    second = await observing(there)
    await second.opened()
    await first.write(make_window(1))
    assert (await first.ending()).reason == pb.STREAM_END_REASON_SUPERSEDED
    await second.write(make_window(1))
    await second.ack(1)
    assert here.handler.of("closed") == [(1, CloseReason.SUPERSEDED)]


async def test_streams_end_by_age_and_by_token(
    observe: Any, observing: Any, identity_at: Any
) -> None:
    clock = ManualClock()
    who = identity_at(clock)
    aged = await observe(settings=StreamSettings(max_age_s=100), who=who)
    device = await observing(aged, token=who.token())
    await device.opened()
    await clock.advance(89)
    assert aged.streams.open_streams == 1
    for _ in range(3):
        await clock.advance(30)
    assert (await device.ending()).reason == pb.STREAM_END_REASON_AGE

    ending = await observe(settings=StreamSettings(max_age_s=10_000), who=who)
    device = await observing(ending, token=who.token())
    await device.opened()
    for _ in range(31):
        await clock.advance(30)
    assert (await device.ending()).reason == pb.STREAM_END_REASON_TOKEN_EXPIRED
    assert ending.handler.of("closed") == [(1, CloseReason.TOKEN_EXPIRED)]


async def test_a_renewed_token_keeps_the_stream(
    observe: Any, observing: Any, identity_at: Any, eventually: Any
) -> None:
    clock = ManualClock()
    who = identity_at(clock)
    running = await observe(settings=StreamSettings(max_age_s=10_000), who=who)
    device = await observing(running, token=who.token())
    await device.opened()
    for _ in range(28):
        await clock.advance(30)
    await device.control(renewal=pb.TokenRenewal(token=who.token(country="KR")))
    session = running.handler.sessions[0]
    await eventually(lambda: session.claims.country == "KR")
    for _ in range(4):
        await clock.advance(30)
    assert running.streams.open_streams == 1
    for _ in range(27):
        await clock.advance(30)
    assert (await device.ending()).reason == pb.STREAM_END_REASON_TOKEN_EXPIRED


@pytest.mark.parametrize(
    ("subject", "service", "reason"),
    [("u2", "moderation", "TOKEN_FOREIGN"), ("u1", "matching", "TOKEN_FOREIGN")],
)
async def test_a_foreign_renewal_ends_the_stream(
    observe: Any, observing: Any, identity: Any, subject: str, service: str, reason: str
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    token = identity.token(subject, service)
    await device.control(renewal=pb.TokenRenewal(token=token))
    code, found, _ = await device.refusal()
    assert (code, found) == (grpc.StatusCode.UNAUTHENTICATED, reason)


async def test_draining_tells_devices_and_takes_no_more(observe: Any, observing: Any) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    await running.streams.drain()
    ending = await device.ending()
    assert ending.reason == pb.STREAM_END_REASON_DRAINING
    assert 0 <= ending.retry_after.ToTimedelta().total_seconds() <= 1
    assert running.handler.of("closed") == [(1, CloseReason.DRAINING)]
    late = await observing(running)
    await late.open("s2")
    assert await late.refusal() == (grpc.StatusCode.UNAVAILABLE, "DRAINING", "")


async def test_a_device_past_its_window_waits_until_there_is_room(
    observe: Any, observing: Any, make_window: Any, eventually: Any
) -> None:
    running = await observe(settings=StreamSettings(max_in_flight=2))
    running.handler.acknowledges = False
    device = await observing(running)
    await device.opened()
    for sequence in range(1, 6):
        await device.write(make_window(sequence))
    await eventually(lambda: len(running.handler.of("received")) == 2)
    await asyncio.sleep(0)
    assert len(running.handler.of("received")) == 2
    await running.handler.sessions[0].acknowledge(2)
    await eventually(lambda: len(running.handler.of("received")) == 4)


async def test_a_device_that_does_not_read_is_cut(
    observe: Any, observing: Any, eventually: Any
) -> None:
    settings = StreamSettings(max_outgoing=8, flush_timeout_s=0.05)
    running = await observe(settings=settings)
    device = await observing(running)
    await device.opened()
    session = running.handler.sessions[0]
    big = safety_pb2.ObserveResponse(policy=safety_pb2.PolicyInForce(name="x" * 100_000))

    async def overwhelm() -> None:
        while True:
            session.send(big)
            await asyncio.sleep(0)

    with pytest.raises(SessionOver):
        await asyncio.wait_for(overwhelm(), 5)
    await eventually(lambda: running.handler.of("closed") == [(1, CloseReason.FAILED)])
    await eventually(lambda: not running.streams._tasks)
    with pytest.raises(grpc.aio.AioRpcError):
        while await device.read() is not None:
            pass


async def test_handler_errors_become_statuses(
    observe: Any, observing: Any, make_window: Any
) -> None:
    running = await observe()

    async def refuse(session: Any, sequence: int) -> None:
        raise NotFound("no such match", reason="MATCH_UNKNOWN", field="match_id")

    running.handler.on_received = refuse
    device = await observing(running)
    await device.opened()
    await device.write(make_window(1))
    refusal = (grpc.StatusCode.NOT_FOUND, "MATCH_UNKNOWN", "match_id")
    assert await device.refusal() == refusal

    async def break_down(session: Any) -> None:
        raise RuntimeError("secret inside")

    running.handler.on_opened = break_down
    device = await observing(running)
    await device.open("s2")
    assert await device.refusal() == (grpc.StatusCode.INTERNAL, "INTERNAL", "")
    assert running.handler.of("closed")[-1] == (2, CloseReason.FAILED)


async def test_a_handler_that_fails_to_close_is_survived(
    observe: Any, observing: Any, eventually: Any, recorder: Any
) -> None:
    class Clumsy(recorder):  # type: ignore[misc]
        async def closed(self, session: Any, reason: CloseReason) -> None:
            await super().closed(session, reason)
            raise RuntimeError("could not close")

    running = await observe(handler=Clumsy())
    device = await observing(running)
    await device.opened()
    device.cut()
    await eventually(lambda: running.streams.open_streams == 0)
    assert running.handler.of("closed") == [(1, CloseReason.DISCONNECTED)]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (CloseReason.SUPERSEDED, pb.STREAM_END_REASON_SUPERSEDED),
        (CloseReason.AGE, pb.STREAM_END_REASON_AGE),
    ],
)
async def test_a_service_ends_a_stream(
    observe: Any, observing: Any, reason: CloseReason, told: Any
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    session = running.handler.sessions[0]
    session.end(reason)
    session.end(CloseReason.FAILED)
    assert (await device.ending()).reason == told
    session.tell_acknowledged(0)
    with pytest.raises(SessionOver):
        session.send(safety_pb2.ObserveResponse())


async def test_a_service_may_end_a_stream_as_failed(observe: Any, observing: Any) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    running.handler.sessions[0].end(CloseReason.FAILED)
    assert await device.refusal() == (grpc.StatusCode.INTERNAL, "STREAM_FAILED", "")


async def test_a_half_closed_stream_is_disconnected(
    observe: Any, observing: Any, make_window: Any
) -> None:
    running = await observe()
    device = await observing(running)
    await device.opened()
    await device.write(make_window(1))
    await device.half_close()
    await device.ack(1)
    assert await device.read() is None
    assert running.handler.of("closed") == [(1, CloseReason.DISCONNECTED)]


async def test_acknowledgements_that_wait_become_one(
    observe: Any, observing: Any, make_window: Any, eventually: Any
) -> None:
    running = await observe()
    running.handler.acknowledges = False
    device = await observing(running)
    await device.opened()
    for sequence in (1, 2, 3):
        await device.write(make_window(sequence))
    await eventually(lambda: len(running.handler.of("received")) == 3)
    session = running.handler.sessions[0]
    with pytest.raises(ValueError, match="not received"):
        await session.acknowledge(4)
    carrier = safety_pb2.ObserveResponse()
    carrier.safety_pass.key_id = "k1"
    session.tell_acknowledged(1)
    session.tell_acknowledged(2, carrier)
    session.tell_acknowledged(3)
    message = await device.read()
    assert (message.control.ack.through, message.safety_pass.key_id) == (3, "k1")


async def test_nothing_stays_behind_cut_streams(
    observe: Any, observing: Any, make_window: Any, eventually: Any
) -> None:
    running = await observe()
    tasks_before = len(asyncio.all_tasks())
    for number in range(30):
        device = await observing(running)
        await device.opened(f"s{number}")
        await device.write(make_window(1))
        device.cut()
    await eventually(lambda: len(running.handler.of("closed")) == 30)
    await eventually(lambda: running.streams.open_streams == 0)
    await eventually(lambda: not running.streams._tasks)
    gc.collect()
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks_before + 2)
