"""Several addresses of one service: the agent speaks to a replica that says it serves."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as aio_health

from inyeon_edge.agent.voice import HEALTH_OF
from inyeon_edge.errors import SettingsRefused
from inyeon_edge.settings import read_settings
from inyeon_edge.uplink.channel import open_channel
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

pytestmark = pytest.mark.contract

SERVICE = HEALTH_OF["moderation"]
LOOKS = 200


class Named(safety_pb2_grpc.SafetyServiceServicer):
    """Says its name in place of a case."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def Report(self, request: Any, context: Any) -> safety_pb2.ReportResponse:
        return safety_pb2.ReportResponse(case_id=self._name)

    async def Observe(self, request_iterator: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only reports here")
        yield safety_pb2.ObserveResponse()

    async def Block(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


async def replica(name: str, *, serving: bool) -> tuple[aio.Server, aio_health.HealthServicer, str]:
    server, health = aio.server(), aio_health.HealthServicer()
    safety_pb2_grpc.add_SafetyServiceServicer_to_server(Named(name), server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await say(health, serving=serving)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, health, f"127.0.0.1:{port}"


async def say(health: aio_health.HealthServicer, *, serving: bool) -> None:
    status = health_pb2.HealthCheckResponse
    await health.set(SERVICE, status.SERVING if serving else status.NOT_SERVING)


async def who_answers(channel: aio.Channel) -> str:
    stub = safety_pb2_grpc.SafetyServiceStub(channel)
    try:
        answer = await stub.Report(safety_pb2.ReportRequest(), timeout=2, wait_for_ready=True)
    except aio.AioRpcError as error:
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        return ""
    return str(answer.case_id)


async def test_calls_follow_the_replica_that_serves() -> None:
    one, one_health, here = await replica("one", serving=True)
    other, other_health, there = await replica("other", serving=False)
    channel = open_channel(f"{here},{there}", SERVICE)
    try:
        assert {await who_answers(channel) for _ in range(6)} == {"one"}
        await say(one_health, serving=False)
        await say(other_health, serving=True)
        for _ in range(LOOKS):
            if await who_answers(channel) == "other":
                break
        assert {await who_answers(channel) for _ in range(6)} == {"other"}
        await other.stop(0)
        await say(one_health, serving=True)
        for _ in range(LOOKS):
            if await who_answers(channel) == "one":
                break
        assert await who_answers(channel) == "one"
    finally:
        await channel.close()
        await one.stop(0)
        await other.stop(0)


def test_each_address_of_a_list_is_checked() -> None:
    two = "127.0.0.1:7400,127.0.0.1:7401"
    settings = read_settings({"source": "camera:0", "matching_endpoint": two})
    assert settings.endpoint_of("matching") == two
    with pytest.raises(SettingsRefused, match=r"127\.0\.0\.1:0"):
        read_settings({"source": "camera:0", "matching_endpoint": "127.0.0.1:7400,127.0.0.1:0"})
