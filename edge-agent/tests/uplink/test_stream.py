"""The device's side of the stream protocol against the platform's twin."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.errors import StreamRefused
from inyeon_edge.uplink.clock import ManualClock
from inyeon_edge.uplink.protocol import StreamOver, StreamSettings
from inyeon_protos.common.v1.stream_pb2 import StreamEndReason
from inyeon_protos.moderation.v1.safety_pb2 import ObserveResponse

from .conftest import Rig, settle, until, window

pytestmark = pytest.mark.unit


def said(rig: Rig) -> list[str]:
    """What the platform has committed over all sessions, in order."""
    sessions = rig.platform.sessions.values()
    return [message.window.match_id for each in sessions for message in each.committed]


def refusal(code: str, reason: str) -> StreamRefused:
    return StreamRefused("no", code=code, reason=reason, field="window.scores")


async def test_messages_are_numbered_from_one_and_forgotten_when_acknowledged(rig: Rig) -> None:
    async with rig.running():
        keys = [rig.stream.send(window(n)) for n in range(3)]
        await until(lambda: rig.platform.live is not None)
        await until(lambda: len(rig.platform.session.uncommitted) == 3)
        assert [m.sequence for m in rig.platform.session.uncommitted] == [1, 2, 3]
        assert rig.stream.waiting == 3
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
        assert [(s.sequence, s.key) for s in rig.notes.done] == list(
            zip([1, 2, 3], keys, strict=True)
        )


async def test_open_names_client_session_and_protocol(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        assert list(rig.platform.sessions) == [rig.stream.session_id]
        assert rig.platform.connections[0].tokens == ["inyeon-moderation-1"]
        assert rig.stream.epoch == 1


async def test_no_more_in_flight_than_the_platform_allows() -> None:
    rig = Rig(max_in_flight=2)
    async with rig.running():
        for n in range(5):
            rig.stream.send(window(n))
        await until(lambda: rig.stream.is_open)
        await settle(50)
        assert len(rig.platform.session.uncommitted) == 2
        rig.platform.commit(1)
        await until(lambda: len(rig.platform.session.uncommitted) == 2)
        assert len(rig.platform.session.committed) == 1


async def test_after_a_break_the_unacknowledged_is_sent_again(rig: Rig) -> None:
    async with rig.running():
        for n in range(3):
            rig.stream.send(window(n))
        await until(lambda: rig.stream.is_open and len(rig.platform.session.uncommitted) == 3)
        rig.platform.commit(1)
        rig.platform.break_connection()
        await until(lambda: rig.stream.epoch == 2)
        await until(lambda: len(rig.platform.session.uncommitted) == 2)
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
    assert said(rig) == ["m0", "m1", "m2"]
    assert rig.notes.troubles[0].reason == "STREAM_BROKEN"


async def test_a_lost_acknowledgement_is_learned_from_the_next_open(rig: Rig) -> None:
    async with rig.running():
        key = rig.stream.send(window(0))
        await until(lambda: rig.stream.is_open and bool(rig.platform.session.uncommitted))
        rig.platform.commit_silently()
        rig.platform.break_connection()
        await until(lambda: rig.stream.waiting == 0)
        assert [(s.sequence, s.key) for s in rig.notes.done] == [(1, key)]
    assert said(rig) == ["m0"]


async def test_server_messages_are_handled_once_and_confirmed(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        rig.platform.say(ObserveResponse())
        rig.platform.say(ObserveResponse())
        await until(lambda: rig.platform.session.received_by_client == 2)
        rig.platform.live.deliver(rig.platform.session.said[0])  # type: ignore[union-attr]
        rig.platform.break_connection()
        await until(lambda: rig.stream.epoch == 2)
    assert rig.notes.received_sequences == [1, 2]
    assert rig.platform.resumed_after == [0, 2]


async def test_what_counts_now_is_not_said_later(rig: Rig) -> None:
    assert not rig.stream.say_now(window(9))
    rig.notes.first = [window(7)]
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        assert rig.stream.say_now(window(1))
        rig.stream.send(window(2))
        await until(lambda: len(rig.platform.session.uncommitted) == 3)
        rig.platform.break_connection()
        await until(lambda: rig.stream.epoch == 2)
        await until(lambda: len(rig.platform.session.uncommitted) == 2)
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
    assert said(rig) == ["m7", "m2"]


@pytest.mark.parametrize("reason", ["AGE", "DRAINING", "TOKEN_EXPIRED"])
async def test_a_stream_ended_on_purpose_is_opened_again(rig: Rig, reason: str) -> None:
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        rig.platform.end(StreamEndReason.Value(f"STREAM_END_REASON_{reason}"), 0.001)
        await until(lambda: rig.stream.epoch == 2)
    assert rig.notes.troubles == []
    assert rig.platform.connections[1].tokens == [
        f"inyeon-moderation-{2 if reason == 'TOKEN_EXPIRED' else 1}"
    ]


async def test_the_platforms_wait_is_kept() -> None:
    clock = ManualClock()
    rig = Rig(clock)
    async with rig.running():
        await settle(50)
        rig.platform.end(StreamEndReason.STREAM_END_REASON_DRAINING, 7.0)
        await settle(50)
        await clock.advance(6.9)
        assert rig.stream.epoch == 1
        await clock.advance(0.2)
        await settle(50)
        assert rig.stream.epoch == 2


async def test_opened_elsewhere_stops_for_good(rig: Rig) -> None:
    task = asyncio.create_task(rig.stream.run())
    await until(lambda: rig.stream.is_open)
    rig.platform.end(StreamEndReason.STREAM_END_REASON_SUPERSEDED)
    assert await asyncio.wait_for(task, 5) is StreamOver.SUPERSEDED
    assert len(rig.platform.connections) == 1


async def test_opened_elsewhere_may_come_as_an_error(rig: Rig) -> None:
    rig.platform.refuse_with = refusal("ABORTED", "SESSION_SUPERSEDED")
    assert await asyncio.wait_for(rig.stream.run(), 5) is StreamOver.SUPERSEDED


async def test_close_sends_what_waits_first(rig: Rig) -> None:
    task = asyncio.create_task(rig.stream.run())
    await until(lambda: rig.stream.is_open)
    rig.stream.send(window(1))
    closing = asyncio.create_task(rig.stream.close())
    await until(lambda: bool(rig.platform.session.uncommitted))
    session = rig.platform.session
    assert not session.closed
    rig.platform.commit()
    await asyncio.wait_for(closing, 5)
    assert await task is StreamOver.CLOSED
    assert session.closed
    assert said(rig) == ["m1"]


async def test_close_gives_up_when_nobody_acknowledges() -> None:
    rig = Rig(settings=StreamSettings(close_s=0.05))
    task = asyncio.create_task(rig.stream.run())
    await until(lambda: rig.stream.is_open)
    rig.stream.send(window(1))
    await asyncio.wait_for(rig.stream.close(), 5)
    assert await task is StreamOver.CLOSED
    assert rig.stream.waiting == 1


async def test_every_call_is_cancelled(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        rig.platform.break_connection()
        await until(lambda: rig.stream.epoch == 2)
    assert [each.cancelled for each in rig.platform.connections] == [True, True]


async def test_the_token_is_renewed_in_band_before_it_ends() -> None:
    clock = ManualClock()
    rig = Rig(clock)
    async with rig.running():
        await settle(50)
        await clock.advance(900 * 0.74)
        assert rig.platform.connections[0].tokens == ["inyeon-moderation-1"]
        await clock.advance(900 * 0.02)
        assert rig.platform.connections[0].tokens == ["inyeon-moderation-1", "inyeon-moderation-2"]
        await clock.advance(900 * 0.75)
        assert len(rig.platform.connections[0].tokens) == 3
        assert rig.stream.epoch == 1


async def test_a_half_open_connection_is_found() -> None:
    clock = ManualClock()
    rig = Rig(clock, settings=StreamSettings(ack_stall_s=20.0))
    async with rig.running():
        await settle(50)
        await clock.advance(100)
        assert rig.stream.epoch == 1
        rig.stream.send(window(1))
        await settle(50)
        await clock.advance(26)
        await settle(50)
        assert rig.stream.epoch == 2
    assert "nothing acknowledged" in str(rig.notes.troubles[0])


async def test_a_platform_that_does_not_answer_to_open_is_left() -> None:
    rig = Rig(settings=StreamSettings(open_s=0.02))
    rig.platform.take = lambda connection, message: None  # type: ignore[method-assign]
    async with rig.running():
        await until(lambda: len(rig.notes.troubles) >= 2)
    assert "no answer to open" in str(rig.notes.troubles[0])


async def test_a_platform_that_forgot_the_session_gets_a_new_one(rig: Rig) -> None:
    async with rig.running():
        first = rig.stream.session_id
        rig.stream.send(window(1))
        await until(lambda: rig.stream.is_open and bool(rig.platform.session.uncommitted))
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
        rig.stream.send(window(2))
        rig.platform.session.committed.clear()
        rig.platform.break_connection()
        await until(lambda: rig.stream.session_id != first)
        await until(lambda: rig.platform.live is not None)
        await until(lambda: bool(rig.platform.session.uncommitted))
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
    assert said(rig) == ["m2"]


async def test_a_foreign_session_id_is_replaced(rig: Rig) -> None:
    first = rig.stream.session_id
    rig.platform.refuse_with = refusal("PERMISSION_DENIED", "SESSION_FOREIGN")
    async with rig.running():
        await until(lambda: bool(rig.notes.troubles))
        rig.platform.refuse_with = None
        await until(lambda: rig.stream.is_open)
    assert rig.stream.session_id != first


async def test_a_refused_token_is_replaced(rig: Rig) -> None:
    rig.platform.refuse_with = refusal("UNAUTHENTICATED", "TOKEN_EXPIRED")
    async with rig.running():
        await until(lambda: len(rig.notes.troubles) == 2)
        rig.platform.refuse_with = None
        await until(lambda: rig.stream.is_open)
        assert rig.tokens.issued >= 3


async def test_a_message_refused_again_and_again_does_not_stop_the_next(rig: Rig) -> None:
    take = rig.platform.take

    def picky(connection, message):  # type: ignore[no-untyped-def]
        if message.window.match_id == "m0":
            connection.fail(refusal("INVALID_ARGUMENT", "INVALID_FIELD"))
        else:
            take(connection, message)

    rig.platform.take = picky  # type: ignore[method-assign]
    async with rig.running():
        rig.stream.send(window(0))
        rig.stream.send(window(1))
        await until(lambda: rig.stream.refused_messages == 1)
        await until(lambda: rig.platform.live is not None)
        await until(lambda: bool(rig.platform.session.uncommitted))
        rig.platform.commit()
        await until(lambda: rig.stream.waiting == 0)
    assert said(rig) == ["m1"]
    assert rig.notes.troubles[0].field == "window.scores"


async def test_a_wait_asked_for_with_a_refusal_is_kept() -> None:
    clock = ManualClock()
    rig = Rig(clock)
    rig.platform.refuse_with = StreamRefused("busy", code="RESOURCE_EXHAUSTED", retry_after_s=5.0)
    async with rig.running():
        await settle(50)
        await clock.advance(4.9)
        assert len(rig.platform.connections) == 1
        await clock.advance(0.2)
        assert len(rig.platform.connections) == 2


async def test_a_hang_up_without_a_word_is_a_break(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        rig.platform.live.deliver(None)  # type: ignore[union-attr]
        await until(lambda: rig.stream.epoch == 2)
    assert "hung up" in str(rig.notes.troubles[0])


ACTIONS = ["send", "commit", "commit one", "lose ack", "break", "age", "say", "wait"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), max_size=40), st.integers(1, 4))
def test_breaks_lose_nothing_and_double_nothing(actions: list[str], max_in_flight: int) -> None:
    asyncio.run(_play(actions, max_in_flight))


async def _play(actions: list[str], max_in_flight: int) -> None:
    rig = Rig(max_in_flight=max_in_flight)
    sent = told = 0
    async with rig.running():
        await until(lambda: rig.stream.is_open)
        session_id = rig.stream.session_id
        for action in actions:
            if action == "send":
                rig.stream.send(window(sent))
                sent += 1
            elif action == "say":
                rig.platform.say(ObserveResponse(), session_id)
                told += 1
            else:
                _disturb(rig, action)
            await settle(3)
        async with asyncio.timeout(10):
            while rig.stream.waiting or len(rig.notes.received_sequences) < told:
                rig.platform.commit()
                await asyncio.sleep(0.001)
    assert said(rig) == [f"m{n}" for n in range(sent)]
    assert rig.notes.received_sequences == list(range(1, told + 1))
    assert sorted(s.key for s in rig.notes.done) == list(range(1, sent + 1))


def _disturb(rig: Rig, action: str) -> None:
    if action == "commit":
        rig.platform.commit()
    elif action == "commit one":
        rig.platform.commit(1)
    elif action == "lose ack":
        rig.platform.commit_silently()
        rig.platform.break_connection()
    elif action == "break":
        rig.platform.break_connection()
    elif action == "age":
        rig.platform.end(StreamEndReason.STREAM_END_REASON_AGE, 0.0005)
