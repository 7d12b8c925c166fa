"""Builds matching: the only place that knows its adapters."""

from __future__ import annotations

import secrets
from datetime import timedelta

import grpc

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.consumers import follow_edges, follow_verdicts
from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.statements import StatementGrants, StatementPasses
from inyeon.matching.adapters.tables import TABLES, stream_sessions
from inyeon.matching.adapters.teller import PeerTeller
from inyeon.matching.adapters.ticket_log import LogTickets
from inyeon.matching.adapters.ticket_reader import read_tickets
from inyeon.matching.api.acks import GroupAcks
from inyeon.matching.api.pools import PoolServicer, pools_router
from inyeon.matching.api.seek import SeekHandler
from inyeon.matching.api.servicer import SeekServicer
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.owning import own_pool
from inyeon.matching.app.running import run_upkeep, run_waves
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.peers import Peers
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.store.port import Store
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon_protos.matching.v1 import matching_pb2_grpc
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse

NAME = "matching"
GRPC_NAMES = ("inyeon.matching.v1.MatchingService", "inyeon.matching.v1.PoolService")


async def build(settings: MatchingSettings, ground: Ground) -> Service:
    """Wires everything; nothing runs until the harness starts the tasks."""
    store, peers = await ground.store(NAME, TABLES), ground.peers(NAME)
    desk = _desk(settings, ground, store, peers)
    sessions = StoreSessions(store, stream_sessions, ground.clock)
    acks = GroupAcks(store, sessions, ground.clock)
    handler = SeekHandler(desk, peers, acks)
    stream: StreamServer[SeekRequest, SeekResponse] = StreamServer(
        "seek", SeekResponse, handler, sessions, ground.clock, ground.tokens
    )

    work = (
        lambda: read_tickets(desk, ground.log, ground.consumer_metrics),
        lambda: follow_verdicts(desk, ground.log, ground.consumer_metrics),
        lambda: follow_edges(desk, ground.log, ground.consumer_metrics),
        lambda: run_waves(desk, settings.wave_every_s),
        lambda: run_upkeep(desk),
    )

    def bind(server: grpc.aio.Server) -> None:
        matching_pb2_grpc.add_MatchingServiceServicer_to_server(SeekServicer(stream), server)
        matching_pb2_grpc.add_PoolServiceServicer_to_server(PoolServicer(desk), server)

    return Service(
        name=NAME,
        grpc_names=GRPC_NAMES,
        bind=bind,
        tasks=(
            BackgroundTask("matching pool", lambda: own_pool(desk, work, handler.end_all)),
            BackgroundTask("matching acknowledgements", acks.run),
            BackgroundTask("matching sessions", acks.prune),
        ),
        ready=desk.hall.rebuilt.is_set,
        drain=stream.drain,
        routes=pools_router(desk),
    )


def _desk(settings: MatchingSettings, ground: Ground, store: Store, peers: Peers) -> Desk:
    return Desk(
        book=SqlBook(store, timedelta(seconds=settings.rematch_horizon_s), ground.clock),
        tickets=LogTickets(ground.log, ground.replica, ground.clock),
        teller=PeerTeller(peers),
        passes=StatementPasses(ground.verifier("moderation")),
        grants=StatementGrants(ground.signer(NAME)),
        meter=PrometheusMeter(ground.metrics, settings.pool),
        clock=ground.clock,
        rules=settings.rules(),
        pool=settings.pool,
        replica=ground.replica,
        new_id=lambda: secrets.token_urlsafe(16),
        max_waiting=settings.max_waiting,
        policy_versions=frozenset(settings.policy_versions),
        verdicts_stale=timedelta(seconds=settings.verdicts_stale_s),
    )
