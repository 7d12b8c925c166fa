"""Signalling over real gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode, aio

from inyeon_edge.call.signalling import GrpcSignalling, PartnerGone, PartnerHere, Signal
from inyeon_edge.errors import StreamBroken, StreamRefused
from inyeon_edge.uplink.channel import open_channel
from inyeon_edge.uplink.facts import Statement
from inyeon_edge.uplink.twin import TwinTokens
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

pytestmark = [pytest.mark.integration, pytest.mark.engine("grpc")]

GRANT = Statement("k", b"grant", b"s" * 64)


class Echo(edge_pb2_grpc.SignallingServiceServicer):
    """Says a partner is here, gives signals back, and ends after BYE."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def Signal(self, request_iterator: Any, context: Any) -> Any:
        async for request in request_iterator:
            self.heard.append(request)
            kind = request.WhichOneof("kind")
            if kind == "grant" and request.grant.key_id == "foreign":
                await context.abort(StatusCode.PERMISSION_DENIED, "foreign grant")
            if kind == "grant":
                yield edge_pb2.SignalResponse(partner_present=edge_pb2.PartnerPresent())
                yield edge_pb2.SignalResponse()
                yield edge_pb2.SignalResponse(partner_gone=edge_pb2.PartnerGone())
            elif kind == "signal":
                yield edge_pb2.SignalResponse(signal=request.signal)
                if request.signal.kind == edge_pb2.SIGNAL_KIND_BYE:
                    return


async def test_a_conversation_over_signalling() -> None:
    service, server = Echo(), aio.server()
    edge_pb2_grpc.add_SignallingServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    signalling = GrpcSignalling(channel, TwinTokens(lambda: 0.0))
    try:
        link = await signalling.open("m1", GRANT)
        assert await link.hear() == PartnerHere()
        assert await link.hear() == PartnerGone()
        await link.renew(GRANT)
        await link.send("OFFER", "v=0")
        assert await link.hear() == Signal("OFFER", "v=0")
        await link.send("BYE")
        assert await link.hear() == Signal("BYE", "")
        assert await link.hear() is None
        with pytest.raises(StreamBroken):
            await link.send("BYE")
        link.close()
        foreign = await signalling.open("m1", Statement("foreign", b"g", b"s" * 64))
        with pytest.raises(StreamRefused) as refused:
            await foreign.hear()
        assert refused.value.code == "PERMISSION_DENIED"
        foreign.close()
    finally:
        await channel.close()
        await server.stop(0)
    kinds = [each.WhichOneof("kind") for each in service.heard]
    assert kinds == ["grant", "renewed_grant", "signal", "signal", "grant"]
    assert service.heard[2].signal.match_id == "m1"
