"""Channel, identity, window, wish, backoff and clock: the uplink's small parts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from inyeon_edge.errors import SettingsRefused, StreamBroken, StreamRefused
from inyeon_edge.uplink.backoff import CAP_S, Backoff
from inyeon_edge.uplink.channel import GrpcTransport, open_channel, uplink_error
from inyeon_edge.uplink.clock import ManualClock, SystemClock
from inyeon_edge.uplink.facts import Subject
from inyeon_edge.uplink.identity import Declared, DevelopmentIssuer, Identity, Issued
from inyeon_edge.uplink.waiting import deadline, first_of
from inyeon_edge.uplink.window import ModelNames, Sample, WindowBuilder
from inyeon_edge.uplink.wish import Language, parse_languages
from inyeon_edge.vision.results import Presence, Quality, Scored, ViewResult
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

pytestmark = pytest.mark.unit

NAMES = ModelNames("nsfw", "1", "pca", "2")


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_waits_grow_within_their_bounds(seed: int, tries: int) -> None:
    backoff = Backoff(Random(seed))
    waits = [backoff.next_s() for _ in range(tries)]
    steps = [min(CAP_S, 0.2 * 2**n) for n in range(tries)]
    assert all(step / 2 <= wait <= step for wait, step in zip(waits, steps, strict=True))
    backoff.reset()
    assert backoff.next_s() <= 0.2


class Failing(safety_pb2_grpc.SafetyServiceServicer):
    """Ends each call as the test says."""

    def __init__(self, code: grpc.StatusCode, details: Any = None) -> None:
        self.code, self.status = code, details

    async def Report(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Block(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Observe(self, request_iterator: Any, context: Any) -> Any:
        trailing: tuple[tuple[str, Any], ...] = ()
        if self.status is not None:
            trailing = (("grpc-status-details-bin", self.status.SerializeToString()),)
        await context.abort(self.code, "because", trailing_metadata=trailing)
        yield safety_pb2.ObserveResponse()


async def failure_of(service: Failing) -> Exception:
    """What a read of a failing call raises on the device."""
    server = aio.server()
    safety_pb2_grpc.add_SafetyServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    stub = safety_pb2_grpc.SafetyServiceStub(channel)
    transport: GrpcTransport[Any, Any] = GrpcTransport(stub.Observe)
    connection = transport.open("token")
    try:
        with pytest.raises((StreamBroken, StreamRefused)) as failed:
            await connection.read()
        with pytest.raises((StreamBroken, StreamRefused)):
            await connection.write(safety_pb2.ObserveRequest())
        return failed.value
    finally:
        connection.cancel()
        await channel.close()
        await server.stop(0)


async def test_an_answer_keeps_its_reason_field_and_wait() -> None:
    status = status_pb2.Status(code=8, message="busy")
    info = error_details_pb2.ErrorInfo(reason="OVERLOADED", metadata={"field": "window"})
    status.details.add().Pack(info)
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromTimedelta(timedelta(seconds=2.5))
    status.details.add().Pack(retry)
    error = await failure_of(Failing(grpc.StatusCode.RESOURCE_EXHAUSTED, status))
    assert isinstance(error, StreamRefused)
    assert (error.code, error.reason, error.field) == ("RESOURCE_EXHAUSTED", "OVERLOADED", "window")
    assert error.retry_after_s == 2.5


async def test_what_a_new_connection_may_heal_is_a_break() -> None:
    error = await failure_of(Failing(grpc.StatusCode.UNAVAILABLE))
    assert isinstance(error, StreamBroken)
    refused = await failure_of(Failing(grpc.StatusCode.NOT_FOUND))
    assert isinstance(refused, StreamRefused)
    assert refused.reason == "NOT_FOUND"
    assert isinstance(uplink_error(grpc.RpcError("odd")), StreamBroken)


class CountingIssuer:
    def __init__(self) -> None:
        self.issued = 0

    async def issue(self) -> Issued:
        self.issued += 1
        await asyncio.sleep(0)
        return Issued("me", {"a": f"a{self.issued}", "b": f"b{self.issued}"}, 100.0)


async def test_one_call_gives_all_tokens_and_old_ones_are_replaced() -> None:
    clock, issuer = ManualClock(), CountingIssuer()
    identity = Identity(issuer, clock)
    first, other = await asyncio.gather(identity.token("a"), identity.token("b"))
    assert (first.value, other.value, issuer.issued) == ("a1", "b1", 1)
    assert identity.subject == "me"
    await clock.advance(95)
    assert (await identity.token("a", left_s=4)).value == "a1"
    assert (await identity.token("a", left_s=5)).value == "a2"
    identity.discard("a")
    assert (await identity.token("a")).value == "a3"
    with pytest.raises(StreamRefused):
        await identity.token("unknown")


async def test_an_issuer_that_is_away_is_a_break() -> None:
    channel = open_channel("127.0.0.1:1")
    with pytest.raises(StreamBroken):
        await DevelopmentIssuer(channel, Declared("me")).issue()
    await channel.close()


async def test_the_first_one_wins_and_the_others_are_cancelled() -> None:
    cancelled = asyncio.Event()

    async def long() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return "long"

    async def short() -> str:
        return "short"

    assert await first_of(long(), short()) == "short"
    assert cancelled.is_set()
    with pytest.raises(StreamBroken, match=r"nothing within 0\.01 s"):
        async with deadline(0.01, "nothing"):
            await asyncio.sleep(5)
    await SystemClock().sleep(0)
    assert SystemClock().now_s() > 1_700_000_000


def scored(*scores: float) -> Scored:
    return Scored(scores, b"e" * 68, b"h" * 8, 0.0)


async def test_a_window_sums_up_a_second() -> None:
    clock = ManualClock()
    builder = WindowBuilder(Subject.PARTNER, NAMES, clock, "m1")
    image = np.zeros((2, 2, 3), np.uint8)
    quality = Quality(0.5, 10.0)
    view = ViewResult(
        image, 0, 0.0, Presence.ALONE, True, 0.3, scored(0, 0, 1, 0, 0), quality, True, False, ""
    )
    assert builder.add(Sample.of_view(view)) is None
    await clock.advance(0.5)
    assert builder.add(Sample(False, Presence.ALONE, False)) is None
    await clock.advance(0.5)
    window = builder.add(
        Sample(False, Presence.SEVERAL, True, scored(0.5, 0, 0.5, 0, 0), Quality(0.7, 30.0))
    )
    assert window is not None
    assert (window.subject, window.match_id) == (safety_pb2.OBSERVED_SUBJECT_PARTNER, "m1")
    assert window.presence == safety_pb2.PRESENCE_STATE_SEVERAL
    assert window.presence_share == pytest.approx(1 / 3)
    assert window.duration.ToTimedelta() == timedelta(seconds=1)
    assert list(window.scores.mean) == pytest.approx([0.25, 0, 0.75, 0, 0])
    assert list(window.scores.max) == pytest.approx([0.5, 0, 1, 0, 0])
    assert (window.scores.frames, window.scores.model) == (2, "nsfw")
    assert (len(window.embedding.data), window.embedding.space.dims) == (68, 64)
    assert window.quality.brightness == pytest.approx(0.6)
    assert window.quality.frame_rate == pytest.approx(3.0)
    assert window.covered
    assert builder.close() is None


async def test_a_camera_that_gives_nothing_is_said() -> None:
    clock = ManualClock()
    builder = WindowBuilder(Subject.MYSELF, NAMES, clock)
    assert builder.nothing_seen() is None
    await clock.advance(1.0)
    window = builder.nothing_seen()
    assert window is not None
    assert window.presence == safety_pb2.PRESENCE_STATE_NO_PICTURE
    assert window.quality.frame_rate == 0
    assert not window.HasField("scores")


def test_no_field_of_a_window_can_hold_a_picture() -> None:
    bounded = {"perceptual_hash"}
    fields = safety_pb2.ObservationWindow.DESCRIPTOR.fields
    assert {each.name for each in fields if each.type == each.TYPE_BYTES} == bounded


def test_languages_are_read_best_first() -> None:
    assert parse_languages("fr:2, en") == (Language("en", 5), Language("fr", 2))
    for text in ("", "en:6", "english:5", ",".join(f"a{chr(97 + n)}" for n in range(9))):
        with pytest.raises(SettingsRefused):
            parse_languages(text)
