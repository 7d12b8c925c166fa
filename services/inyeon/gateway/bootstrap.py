"""Builds the gateway."""

from __future__ import annotations

import grpc

from inyeon.gateway.adapters.followers import close_calls, show
from inyeon.gateway.api.identity_grpc import DevelopmentIdentityApi
from inyeon.gateway.api.pages import status_routes
from inyeon.gateway.api.signalling_grpc import SignallingApi
from inyeon.gateway.domain.board import Board
from inyeon.gateway.settings import GatewaySettings
from inyeon.runtime.log.consuming import consume
from inyeon.runtime.log.following import follow
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import MATCHES, VERDICTS
from inyeon.runtime.peers import Peers
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

FILE = edge_pb2.DESCRIPTOR
SIGNALLING = FILE.services_by_name["SignallingService"].full_name
IDENTITY = FILE.services_by_name["DevelopmentIdentityService"].full_name


async def build(settings: GatewaySettings, ground: Ground) -> Service:
    """The gateway on this ground. Development identity and the status page exist in development
    only, whatever the settings say.
    """
    peers = ground.peers("gateway")
    signalling = SignallingApi(
        peers, ground.verifier("matching"), ground.clock, settings.signal_queue
    )
    with_identity = settings.development_identity and ground.development
    board = Board() if settings.status_page and ground.development else None
    identity = DevelopmentIdentityApi(ground.token_issuer()) if with_identity else None

    def bind(server: grpc.aio.Server) -> None:
        edge_pb2_grpc.add_SignallingServiceServicer_to_server(signalling, server)
        if identity is not None:
            edge_pb2_grpc.add_DevelopmentIdentityServiceServicer_to_server(identity, server)

    return Service(
        name="gateway",
        grpc_names=(SIGNALLING, IDENTITY) if identity else (SIGNALLING,),
        bind=bind,
        tasks=_tasks(ground, peers, board),
        drain=signalling.drain,
        routes=status_routes(board, settings.review_page) if board is not None else None,
        open_methods=frozenset({f"/{IDENTITY}/IssueToken"}) if identity else frozenset(),
    )


def _tasks(ground: Ground, peers: Peers, board: Board | None) -> tuple[BackgroundTask, ...]:
    async def end_calls() -> None:
        async def ended(record: Record, _: None) -> None:
            await close_calls(record, peers)

        await consume(
            ground.log,
            "gateway",
            [MATCHES],
            ended,
            store=None,
            clock=ground.clock,
            metrics=ground.consumer_metrics,
        )

    async def watch() -> None:
        if board is not None:
            known = board
            await follow(
                ground.log,
                [VERDICTS, MATCHES],
                lambda r: show(r, known),
                clock=ground.clock,
                metrics=ground.consumer_metrics,
            )

    calls = BackgroundTask("gateway-calls", end_calls)
    return (calls, BackgroundTask("gateway-board", watch)) if board is not None else (calls,)
