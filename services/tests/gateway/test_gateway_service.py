"""The gateway on the real harness: tokens, a call's set-up between two devices, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from inyeon.cli.roles import builders
from inyeon.runtime.harness import Ports, run
from inyeon.runtime.identity.statements_pb import seal
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.topics import MATCHES
from inyeon.runtime.service import Ground, Service
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.common.v1 import identity_pb2
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2

pytestmark = [pytest.mark.integration, pytest.mark.engine("grpc")]

WAIT_S = 10.0  # loopback answers in milliseconds; a busy machine gets ten seconds


@dataclass
class Gateway:
    """A running gateway and the ground under it."""

    channel: grpc.aio.Channel
    ground: Ground

    async def token(self, subject: str) -> str:
        request = edge_pb2.IssueTokenRequest(
            subject=subject, age_band=identity_pb2.AGE_BAND_ADULT, country="KR"
        )
        stub = edge_pb2_grpc.DevelopmentIdentityServiceStub(self.channel)
        answer = await stub.IssueToken(request, timeout=WAIT_S)
        return str(answer.tokens["inyeon-gateway"])

    def grant(self, user: str, partner: str, life_s: int = 120) -> identity_pb2.SignedStatement:
        grant = identity_pb2.MatchGrant(match_id="m1", user_id=user, partner_id=partner)
        now = self.ground.clock.now()
        grant.issued_at.FromDatetime(now)
        grant.expires_at.FromSeconds(int(now.timestamp()) + life_s)
        return seal(self.ground.signer("matching"), grant)

    async def call(self, user: str, partner: str) -> Call:
        metadata = (("authorization", f"Bearer {await self.token(user)}"),)
        stub = edge_pb2_grpc.SignallingServiceStub(self.channel)
        call = Call(stub.Signal(metadata=metadata))
        await call.say(grant=self.grant(user, partner))
        return call


class Call:
    """One device in signalling."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def say(self, **kind: Any) -> None:
        await self.stream.write(edge_pb2.SignalRequest(**kind))

    async def heard(self) -> Any:
        async with asyncio.timeout(WAIT_S):
            return await self.stream.read()

    async def refused(self) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await self.heard() is not grpc.aio.EOF:
                pass
        return caught.value.code(), reason_of(caught.value)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    grounds: list[Ground] = []
    (build_gateway,) = builders(("gateway",))

    async def build(ground: Ground) -> Service:
        grounds.append(ground)
        return await build_gateway(ground)

    stop, ports = asyncio.Event(), asyncio.get_running_loop().create_future()

    def started(bound: Ports) -> None:
        ports.set_result(bound)

    settings = RuntimeSettings(data_dir=tmp_path, grpc_port=0, internal_port=0, http_port=0)
    running = asyncio.create_task(run([build], settings, stop=stop, started=started))
    async with asyncio.timeout(WAIT_S):
        bound = await ports
    async with grpc.aio.insecure_channel(f"127.0.0.1:{bound.grpc}") as channel:
        yield Gateway(channel, grounds[0])
    stop.set()
    assert await running == 0


async def test_two_devices_find_each_other_and_signal(gateway: Gateway) -> None:
    one, two = await gateway.call("a", "b"), await gateway.call("b", "a")
    for call in (one, two):
        assert (await call.heard()).partner_present.match_id == "m1"
    offer = edge_pb2.Signal(match_id="m1", kind=edge_pb2.SIGNAL_KIND_OFFER, body="v=0")
    await one.say(signal=offer)
    assert (await two.heard()).signal == offer
    two.stream.cancel()
    assert (await one.heard()).partner_gone.match_id == "m1"
    one.stream.cancel()


async def test_the_end_of_the_match_ends_the_call(gateway: Gateway) -> None:
    one, two = await gateway.call("a", "b"), await gateway.call("b", "a")
    for call in (one, two):
        await call.heard()
    ended = events_pb2.MatchEnded(
        match_id="m1", user_a="a", user_b="b", reason=matching_pb2.END_REASON_POLICY
    )
    now = gateway.ground.clock.now()
    await gateway.ground.log.publish([new_event(MATCHES, "m1", ended, occurred_at=now)])
    for call in (one, two):
        assert (await call.heard()).partner_gone.match_id == "m1"
        assert await call.heard() is grpc.aio.EOF


async def test_a_grant_of_somebody_else_is_refused(gateway: Gateway) -> None:
    metadata = (("authorization", f"Bearer {await gateway.token('c')}"),)
    stub = edge_pb2_grpc.SignallingServiceStub(gateway.channel)
    call = Call(stub.Signal(metadata=metadata))
    await call.say(grant=gateway.grant("a", "b"))
    assert await call.refused() == (grpc.StatusCode.PERMISSION_DENIED, "GRANT_FOREIGN")


async def test_a_grant_that_has_ended_is_refused(gateway: Gateway) -> None:
    metadata = (("authorization", f"Bearer {await gateway.token('a')}"),)
    stub = edge_pb2_grpc.SignallingServiceStub(gateway.channel)
    call = Call(stub.Signal(metadata=metadata))
    await call.say(grant=gateway.grant("a", "b", life_s=-60))
    assert await call.refused() == (grpc.StatusCode.PERMISSION_DENIED, "EXPIRED")


async def test_a_signal_before_the_grant_is_refused(gateway: Gateway) -> None:
    metadata = (("authorization", f"Bearer {await gateway.token('a')}"),)
    stub = edge_pb2_grpc.SignallingServiceStub(gateway.channel)
    call = Call(stub.Signal(metadata=metadata))
    await call.say(signal=edge_pb2.Signal(match_id="m1", kind=edge_pb2.SIGNAL_KIND_BYE))
    assert await call.refused() == (grpc.StatusCode.FAILED_PRECONDITION, "GRANT_FIRST")


async def test_a_signal_of_another_match_ends_the_call(gateway: Gateway) -> None:
    call = await gateway.call("a", "b")
    await call.say(signal=edge_pb2.Signal(match_id="m2", kind=edge_pb2.SIGNAL_KIND_BYE))
    assert await call.refused() == (grpc.StatusCode.PERMISSION_DENIED, "MATCH_FOREIGN")


async def test_signalling_needs_a_token(gateway: Gateway) -> None:
    stub = edge_pb2_grpc.SignallingServiceStub(gateway.channel)
    call = Call(stub.Signal())
    assert await call.refused() == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_token_request_without_an_age_band_is_refused(gateway: Gateway) -> None:
    stub = edge_pb2_grpc.DevelopmentIdentityServiceStub(gateway.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.IssueToken(edge_pb2.IssueTokenRequest(country="KR"), timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
