"""Builds matching: the only place that knows its adapters."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import grpc

from inyeon.inference.sessions_opening import open_session_encoder
from inyeon.inference.settings import InferenceSettings
from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.consumers import follow_edges, follow_verdicts
from inyeon.matching.adapters.devices import DeviceHashes
from inyeon.matching.adapters.frames import ProtoFrames
from inyeon.matching.adapters.length_files import read_lengths
from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.policy_files import read_policies
from inyeon.matching.adapters.score_files import FileScores
from inyeon.matching.adapters.score_metrics import PrometheusScoreMeter
from inyeon.matching.adapters.score_tallies import SqlScoreTallies
from inyeon.matching.adapters.score_words import SqlScoreWords
from inyeon.matching.adapters.seats import SqlSeats
from inyeon.matching.adapters.session_metrics import PrometheusSessionMeter
from inyeon.matching.adapters.session_rows import SqlSessionShelf
from inyeon.matching.adapters.statements import StatementGrants, StatementPasses
from inyeon.matching.adapters.tables import TABLES, stream_sessions
from inyeon.matching.adapters.teller import PeerTeller
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.adapters.ticket_log import LogTickets
from inyeon.matching.adapters.ticket_reader import read_tickets
from inyeon.matching.api.acks import GroupAcks
from inyeon.matching.api.acting import Acting
from inyeon.matching.api.limits import VerbLimits
from inyeon.matching.api.pool_page import pool_page
from inyeon.matching.api.pools import PoolServicer, pools_router
from inyeon.matching.api.rooms import PeerRooms
from inyeon.matching.api.routing import Routing
from inyeon.matching.api.scores import ScoreServicer
from inyeon.matching.api.seek import SeekHandler
from inyeon.matching.api.servicer import SeekServicer
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.experiments import Experiments
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.owning import own_pool
from inyeon.matching.app.recording import Recorder
from inyeon.matching.app.running import run_upkeep, run_waves
from inyeon.matching.app.scores import Scores
from inyeon.matching.app.seating import SeatWork, take_seat
from inyeon.matching.app.sessions import Sessions
from inyeon.matching.app.steering import Steer, Trying
from inyeon.matching.app.switching import Switching
from inyeon.matching.app.watching import Watch
from inyeon.matching.domain.faults import FaultRules
from inyeon.matching.domain.overflowing import Overflow
from inyeon.matching.domain.policies import Policies
from inyeon.matching.domain.territories import Territories
from inyeon.matching.settings import ALL_POOLS, MatchingSettings
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.peers import Peers
from inyeon.runtime.ratelimit import RateLimiter
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.store.port import Store
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon_protos.matching.v1 import matching_pb2_grpc
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse

NAME = "matching"
GRPC_NAMES = (
    "inyeon.matching.v1.MatchingService",
    "inyeon.matching.v1.PoolService",
    "inyeon.matching.v1.ScoreService",
)


async def build(settings: MatchingSettings, ground: Ground) -> Service:
    """Wires everything; nothing runs until the harness starts the tasks."""
    territories = read_territories(settings.countries_file, settings.pools_file)
    pools = _pools(settings, territories)
    store, peers = await ground.store(NAME, TABLES), ground.peers(NAME)
    tastes, closers = _tastes(settings, ground, store)
    floor = _floor(settings, pools, ground, store, peers, territories, tastes)
    sessions = StoreSessions(store, stream_sessions, ground.clock)
    acks = GroupAcks(store, sessions, ground.clock)
    acting = Acting(floor, peers)
    peers.answer(acting.answer)
    rooms = PeerRooms(acting, peers)
    routing = Routing(acting, peers, ground.clock, _pool_of(settings, territories))
    limits = VerbLimits(RateLimiter(ground.clock))
    handler = SeekHandler(routing, peers, acks, limits)
    stream: StreamServer[SeekRequest, SeekResponse] = StreamServer(
        "seek", SeekResponse, handler, sessions, ground.clock, ground.tokens
    )

    def owning(desk: Desk) -> SeatWork:
        work = (
            lambda: read_tickets(desk, ground.log, ground.consumer_metrics),
            lambda: run_waves(desk, settings.wave_every_s),
            lambda: run_upkeep(desk, rooms),
        )

        def lost_it() -> None:
            if not peers.others:
                handler.end_streams(lambda caller: routing.pool(caller) == desk.pool)

        return lambda seat: own_pool(floor, desk, work, lost_it)

    shared = (ground.log, ground.clock, ground.consumer_metrics)
    work: tuple[SeatWork, ...] = (
        lambda seat: follow_verdicts(floor, seat, *shared),
        lambda seat: follow_edges(floor, seat, *shared),
        *(owning(desk) for desk in floor.desks.values()),
    )

    switching = Switching(SqlBook(store, timedelta(0), ground.clock), floor, ground.clock)
    scores = Scores(SqlScoreWords(store), FileScores(settings.scores_file), floor, ground.clock)
    score_servicer = ScoreServicer(
        scores, Experiments(scores, SqlScoreTallies(store), ground.clock)
    )
    routes = pools_router(floor)
    routes.include_router(
        pool_page(
            switching,
            floor,
            lambda token: ground.tokens.verify(token, audience_of(NAME)),
            development=ground.development,
        )
    )

    def bind(server: grpc.aio.Server) -> None:
        matching_pb2_grpc.add_MatchingServiceServicer_to_server(SeekServicer(stream), server)
        pool_servicer = PoolServicer(floor, switching)
        matching_pb2_grpc.add_PoolServiceServicer_to_server(pool_servicer, server)
        matching_pb2_grpc.add_ScoreServiceServicer_to_server(score_servicer, server)

    seats = SqlSeats(store, ground.clock)
    return Service(
        name=NAME,
        grpc_names=GRPC_NAMES,
        bind=bind,
        tasks=(
            BackgroundTask("matching pools", lambda: take_seat(seats, floor, ground.clock, work)),
            BackgroundTask("matching heartbeats", routing.beats.run),
            BackgroundTask("matching acknowledgements", acks.run),
            BackgroundTask("matching sessions", acks.prune),
            *(() if tastes is None else (BackgroundTask("matching tastes", tastes.run),)),
        ),
        ready=lambda: floor.ready(reaches_others=bool(peers.others)),
        drain=stream.drain,
        closers=closers,
        routes=routes,
    )


def _pools(settings: MatchingSettings, territories: Territories) -> tuple[str, ...]:
    """Pools that this replica may own. Raises SettingsRefused for one that the table has not."""
    if ALL_POOLS in settings.pools:
        return territories.pools
    for pool in settings.pools:
        if pool not in territories.pools:
            known = ", ".join(territories.pools)
            raise SettingsRefused(
                f"{pool!r} is no pool of the table: {known}",
                reason="POOL_UNKNOWN",
                field="INYEON_MATCHING_POOLS",
            )
    return tuple(dict.fromkeys(settings.pools)) or (settings.pool,)


def _tastes(
    settings: MatchingSettings, ground: Ground, store: Store
) -> tuple[Sessions | None, tuple[Callable[[], Awaitable[None]], ...]]:
    """Session vectors with what must be closed; None where they are off."""
    if not settings.sessions:
        return None, ()
    encoder = open_session_encoder(InferenceSettings(), ground.clock)
    meter = PrometheusSessionMeter(ground.metrics)
    shelf = SqlSessionShelf(store)
    return Sessions(encoder, ground.clock, meter, shelf), (encoder.close,)


def _policies(settings: MatchingSettings, territories: Territories) -> Policies | None:
    """Those of the table, where people wait by it."""
    policies = read_policies(settings.policy_sets_file, territories)
    return policies.at_least(settings.own_policy()) if settings.pools else None


def _overflow(
    settings: MatchingSettings, territories: Territories, policies: Policies | None
) -> Overflow | None:
    if not settings.pools or settings.overflow_after_s == 0:
        return None
    return Overflow(territories, settings.overflow_after_s, policies)


def _pool_of(settings: MatchingSettings, territories: Territories) -> Callable[[str], str]:
    if settings.pools:
        return lambda country: territories.of(country).pool
    return lambda country: settings.pool


def _with_scores(first: Desk, settings: MatchingSettings, ground: Ground, store: Store) -> Desk:
    """The desk with what steers its score and watches experiments."""
    steer = Steer(
        SqlScoreWords(store),
        FileScores(settings.scores_file),
        ground.clock,
        PrometheusScoreMeter(ground.metrics, first.pool),
        first.pool,
        Trying(settings.explore_share, settings.explore_versions),
    )
    return replace(first, steer=steer, watch=Watch(steer, SqlScoreTallies(store), ground.clock))


def _floor(
    settings: MatchingSettings,
    pools: Sequence[str],
    ground: Ground,
    store: Store,
    peers: Peers,
    territories: Territories,
    tastes: Sessions | None,
) -> Floor:
    own, policies = settings.own_policy(), _policies(settings, territories)

    def rules_of(country: str) -> FaultRules:
        return (own if policies is None else policies.of(country)).faults

    first = Desk(
        book=SqlBook(
            store,
            timedelta(seconds=settings.rematch_horizon_s),
            ground.clock,
            rules_of,
        ),
        hash_device=DeviceHashes(ground.signer(NAME)),
        countries=frozenset(row.country for row in territories.rows),
        accept_within=timedelta(seconds=settings.accept_within_s),
        tickets=LogTickets(ground.log, ground.replica, ground.clock),
        teller=PeerTeller(peers),
        passes=StatementPasses(ground.verifier("moderation")),
        grants=StatementGrants(ground.signer(NAME)),
        meter=PrometheusMeter(ground.metrics, pools[0]),
        clock=ground.clock,
        rules=replace(settings.rules(), lengths=read_lengths(settings.length_model)),
        pool=pools[0],
        replica=ground.replica,
        new_id=lambda: secrets.token_urlsafe(16),
        max_waiting=settings.max_waiting,
        policy_versions=frozenset(settings.policy_versions),
        recorder=Recorder(ProtoFrames()),
        verdicts_stale=timedelta(seconds=settings.verdicts_stale_s),
        sessions=tastes,
        overflow=_overflow(settings, territories, policies),
        policies=policies,
        wave_every_s=settings.wave_every_s,
        starvation_bound_s=settings.starvation_bound_s,
    )
    first = _with_scores(first, settings, ground, store)
    desks = {pool: first.beside(pool) for pool in pools[1:]}
    return Floor({first.pool: first} | desks, ground.replica)
