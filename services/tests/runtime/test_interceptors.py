"""The gate in front of every method, through real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb
from prometheus_client import CollectorRegistry

from inyeon.runtime.deadlines import remaining_s
from inyeon.runtime.errors import Overloaded
from inyeon.runtime.identity.context import current_claims
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.telemetry import RpcMetrics
from inyeon.runtime.tracing import outgoing_metadata
from inyeon_protos.common.v1.identity_pb2 import SignedStatement
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc
from inyeon_protos.translation.v1 import translation_pb2 as tr
from inyeon_protos.translation.v1 import translation_pb2_grpc as tr_grpc

pytestmark = pytest.mark.unit

Code = grpc.StatusCode
TRANSLATE = "/inyeon.translation.v1.TranslationService/Translate"
SIGNAL = "/inyeon.edge.v1.SignallingService/Signal"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Translation(tr_grpc.TranslationServiceServicer):
    """Does what the text asks for."""

    async def Translate(self, request: Any, context: Any) -> tr.TranslateResponse:
        match request.text:
            case "who":
                return tr.TranslateResponse(text=current_claims().subject)
            case "time":
                return tr.TranslateResponse(quality=remaining_s(3600))
            case "trace":
                return tr.TranslateResponse(text=dict(outgoing_metadata())["traceparent"])
            case "busy":
                raise Overloaded("come later", retry_after_s=2)
            case "defect":
                raise RuntimeError("the inside of a defect")
            case "abort":
                await context.abort(Code.DATA_LOSS, "by hand")
            case "hang":
                await asyncio.Event().wait()
        return tr.TranslateResponse(text=request.text)

    async def Detect(self, request: Any, context: Any) -> tr.DetectResponse:
        return tr.DetectResponse(language="es")


class Signalling(edge_pb2_grpc.SignallingServiceServicer):
    """A raw stream, once as a generator and once written by hand."""

    by_hand = False

    def Signal(self, request_iterator: Any, context: Any) -> Any:
        if self.by_hand:
            return self._write(request_iterator, context)
        return self._generate(request_iterator)

    async def _generate(self, requests: Any) -> AsyncIterator[edge_pb2.SignalResponse]:
        async for request in requests:
            yield edge_pb2.SignalResponse(signal=request.signal)

    async def _write(self, requests: Any, context: Any) -> None:
        async with aclosing(aiter(requests)) as messages:
            async for request in messages:
                await context.write(edge_pb2.SignalResponse(signal=request.signal))


class World:
    """A server behind the gate and a channel to it."""

    def __init__(self, identity: Any) -> None:
        self.identity = identity
        self.registry = CollectorRegistry()
        self.signalling: Any = Signalling()
        self.channel: Any = None

    async def start(self) -> grpc.aio.Server:
        access = Access(
            {
                "inyeon.translation.v1.TranslationService": audience_of("translation"),
                "inyeon.edge.v1.SignallingService": audience_of("gateway"),
            },
            frozenset({"inyeon.translation.v1.TranslationService/Detect"}),
            unary=Rate(0.01, 8),
        )
        gate = Gate(
            access,
            self.identity.verifier,
            RateLimiter(self.identity.clock),
            RpcMetrics(self.registry),
        )
        server = grpc.aio.server(interceptors=[gate])
        translation: Any = Translation()  # type: ignore[abstract]  # no Converse here
        tr_grpc.add_TranslationServiceServicer_to_server(translation, server)
        edge_pb2_grpc.add_SignallingServiceServicer_to_server(self.signalling, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        return server

    def metadata(self, service: str = "translation", **other: str) -> Any:
        return (("authorization", f"Bearer {self.identity.token('u1', service)}"), *other.items())

    async def translate(self, text: str, timeout: float | None = 5, **other: Any) -> Any:
        request = tr.TranslateRequest(text=text, target_language="en")
        metadata = other.pop("metadata", None) or self.metadata(**other)
        stub = tr_grpc.TranslationServiceStub(self.channel)
        return await stub.Translate(request, timeout=timeout, metadata=metadata)

    def count(self, method: str, code: str) -> float | None:
        labels = {"method": method, "code": code}
        return self.registry.get_sample_value("inyeon_rpc_handled_total", labels)


@pytest.fixture
async def world(identity: Any) -> AsyncIterator[World]:
    world = World(identity)
    server = await world.start()
    yield world
    await world.channel.close()
    await server.stop(0)


async def test_the_caller_is_known(world: World) -> None:
    assert (await world.translate("who")).text == "u1"
    assert world.count(TRANSLATE, "OK") == 1
    assert world.registry.get_sample_value("inyeon_rpc_seconds_count", {"method": TRANSLATE}) == 1


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "TOKEN_MISSING"),
        ("Basic abc", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_MISSING"),
        ("Bearer nonsense", "TOKEN_INVALID"),
    ],
)
async def test_who_does_not_say_who_it_is_learns_nothing(
    world: World, refusal: Any, header: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        stub = tr_grpc.TranslationServiceStub(world.channel)
        bad = tr.TranslateRequest(target_language="NOT A LANGUAGE")
        await stub.Translate(bad, timeout=5, metadata=(("authorization", header),))
    assert refusal(caught.value) == (Code.UNAUTHENTICATED, reason, "authorization")
    assert world.count(TRANSLATE, "UNAUTHENTICATED") == 1


async def test_a_token_for_another_service_is_foreign(world: World, refusal: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("x", service="matching")
    assert refusal(caught.value)[:2] == (Code.UNAUTHENTICATED, "TOKEN_FOREIGN")


async def test_open_methods_need_no_token(world: World) -> None:
    stub = tr_grpc.TranslationServiceStub(world.channel)
    assert (await stub.Detect(tr.DetectRequest(text="hola"), timeout=5)).language == "es"


async def test_fields_are_checked(world: World, refusal: Any, detail: Any) -> None:
    stub = tr_grpc.TranslationServiceStub(world.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        request = tr.TranslateRequest(text="x", target_language="ENGLISH")
        await stub.Translate(request, timeout=5, metadata=world.metadata())
    assert refusal(caught.value) == (Code.INVALID_ARGUMENT, "PATTERN", "target_language")
    (violation,) = detail(caught.value, details_pb.BadRequest).field_violations
    assert violation.field == "target_language"


async def test_who_calls_too_often_waits(world: World, refusal: Any, detail: Any) -> None:
    for _ in range(8):
        await world.translate("x")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("x")
    assert refusal(caught.value)[:2] == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert detail(caught.value, details_pb.RetryInfo).retry_delay.seconds > 10


async def test_errors_are_mapped(world: World, refusal: Any, detail: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("busy")
    assert refusal(caught.value)[:2] == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert detail(caught.value, details_pb.RetryInfo).retry_delay.seconds == 2

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("abort")
    assert caught.value.code() is Code.DATA_LOSS
    assert world.count(TRANSLATE, "DATA_LOSS") == 1


async def test_a_defect_shows_nothing_of_its_inside(world: World, refusal: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("defect")
    assert refusal(caught.value) == (Code.INTERNAL, "INTERNAL", "")
    assert "inside" not in (caught.value.details() or "")
    unexpected = "inyeon_rpc_unexpected_errors_total"
    assert world.registry.get_sample_value(unexpected, {"method": TRANSLATE}) == 1


async def test_time_is_bounded_and_known(world: World) -> None:
    assert 4 < (await world.translate("time", timeout=None)).quality <= 5
    assert 1 < (await world.translate("time", timeout=2)).quality < 2.5
    assert (await world.translate("time", timeout=3000)).quality <= 30


async def test_the_deadline_is_kept(
    world: World, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inyeon.runtime.interceptors.DEFAULT_DEADLINE_S", 0.05)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.translate("hang", timeout=None)
    assert refusal(caught.value)[:2] == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_the_callers_trace_reaches_the_handler(world: World) -> None:
    answer = await world.translate("trace", traceparent=TRACEPARENT)
    assert answer.text.split("-")[1] == TRACEPARENT.split("-")[1]
    assert answer.text != TRACEPARENT


async def test_unknown_methods_are_unimplemented(world: World) -> None:
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.channel.unary_unary("/made.up/Name")(b"", timeout=5)
        assert caught.value.code() is Code.UNIMPLEMENTED


def _signal(body: str, kind: Any = edge_pb2.SIGNAL_KIND_OFFER) -> edge_pb2.SignalRequest:
    signal = edge_pb2.Signal(match_id="m1", kind=kind, body=body)
    return edge_pb2.SignalRequest(signal=signal)


@pytest.mark.parametrize("by_hand", [False, True])
async def test_each_message_of_a_raw_stream_is_checked(
    world: World, refusal: Any, by_hand: bool
) -> None:
    world.signalling.by_hand = by_hand
    stub = edge_pb2_grpc.SignallingServiceStub(world.channel)
    call: Any = stub.Signal(metadata=world.metadata("gateway"), timeout=5)
    try:
        await call.write(_signal("sdp"))
        assert (await call.read()).signal.body == "sdp"
        bad = edge_pb2.SignalRequest(grant=SignedStatement(key_id="k"))
        await call.write(bad)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert refusal(caught.value) == (Code.INVALID_ARGUMENT, "REQUIRED", "grant.payload")
    finally:
        call.cancel()
    assert world.registry.get_sample_value("inyeon_streams_open", {"method": SIGNAL}) in (0, None)


async def test_a_cancelled_stream_is_counted_and_forgotten(world: World, eventually: Any) -> None:
    stub = edge_pb2_grpc.SignallingServiceStub(world.channel)
    call: Any = stub.Signal(metadata=world.metadata("gateway"))
    await call.write(_signal("sdp"))
    await call.read()
    open_now = {"method": SIGNAL}
    assert world.registry.get_sample_value("inyeon_streams_open", open_now) == 1
    call.cancel()
    await eventually(lambda: world.registry.get_sample_value("inyeon_streams_open", open_now) == 0)
    # gRPC shows the handler an ordinary end of the requests, or a cancellation, as it comes.
    await eventually(lambda: (world.count(SIGNAL, "OK") or world.count(SIGNAL, "CANCELLED")) == 1)
