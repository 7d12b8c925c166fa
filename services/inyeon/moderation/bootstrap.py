"""Builds moderation from its settings and the ground: the only place that knows its adapters.

In a bench or a test process the real service starts like this, `ground` being the harness's or a
test's:

    service = await build(ModerationSettings(), ground)
    service.bind(server)
    for task in service.tasks: asyncio.create_task(task.run())
"""

from __future__ import annotations

import uuid

import grpc

from inyeon.moderation.adapters.acks import STREAM, SessionAcks
from inyeon.moderation.adapters.jpeg import picture_of
from inyeon.moderation.adapters.ledger import SqlLedger
from inyeon.moderation.adapters.match_book import following
from inyeon.moderation.adapters.metrics import JudgingMetrics, PrometheusMeter
from inyeon.moderation.adapters.models import OpenModels, open_models
from inyeon.moderation.adapters.neighbours import PeerNeighbours
from inyeon.moderation.adapters.opinion_follower import follow_opinions
from inyeon.moderation.adapters.passes import SealedPasses
from inyeon.moderation.adapters.policy_file import read_policy
from inyeon.moderation.adapters.tables import TABLES, stream_sessions
from inyeon.moderation.adapters.watermark import Watermark
from inyeon.moderation.api import http
from inyeon.moderation.api.evidence import EvidenceApi
from inyeon.moderation.api.observe import ObserveHandler
from inyeon.moderation.api.safety import ReviewApi, SafetyApi
from inyeon.moderation.app.commit import GroupCommit
from inyeon.moderation.app.evidencing import Evidencing
from inyeon.moderation.app.forgetting import Forgetting
from inyeon.moderation.app.heeding import Heeding
from inyeon.moderation.app.live import LiveSessions
from inyeon.moderation.app.observe import Observe
from inyeon.moderation.app.reporting import Reporting
from inyeon.moderation.app.reviewing import Reviewing
from inyeon.moderation.app.telling import Telling
from inyeon.moderation.settings import ModerationSettings
from inyeon.moderation.worker import Worker, worker_of
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon_protos.moderation.v1 import review_pb2_grpc, safety_pb2, safety_pb2_grpc

NAME = "moderation"
GRPC_NAMES = (
    "inyeon.moderation.v1.SafetyService",
    "inyeon.moderation.v1.ReviewService",
    "inyeon.moderation.v1.EvidenceService",
)


async def build(
    settings: ModerationSettings,
    ground: Ground,
    *,
    with_worker: bool = False,
    models: OpenModels = open_models,
) -> Service:
    """The service, not yet started; its policy is read, recorded and published. `with_worker`: the
    worker runs inside. Models are opened for the worker, and for evidence where the policy allows
    it.

    Raises PolicyRefused, SettingsRefused (models), StoreUnavailable.
    """
    clock, policy_file = ground.clock, read_policy(settings.policy)
    policy = policy_file.policy
    store = await ground.store(NAME, TABLES)
    stream_store = StoreSessions(store, stream_sessions, clock)
    ledger = SqlLedger(store, SessionAcks(stream_store), clock, policy.opinions)
    await ledger.publish(policy, policy_file.document)

    meter, sessions = PrometheusMeter(ground.metrics), LiveSessions()
    peers = ground.peers(NAME)
    neighbours = PeerNeighbours(peers)
    commit = GroupCommit(
        ledger,
        SealedPasses(ground.signer(NAME)),
        clock,
        meter,
        every_s=settings.commit_every_s,
        at_windows=settings.commit_at_windows,
    )
    telling = Telling(sessions, ledger, neighbours, policy, clock, meter)
    observe = Observe(
        sessions,
        ledger,
        commit,
        telling,
        neighbours,
        policy,
        clock,
        meter,
        max_sessions=settings.max_sessions,
    )
    needs_models = with_worker or policy.opinions.evidence
    inference = await models(ground) if needs_models else None
    judging_meter = JudgingMetrics(ground.metrics)
    evidencing = Evidencing(inference, ledger, policy, picture_of, clock, meter, judging_meter)
    heeding = Heeding(sessions, observe.move, evidencing.ask, clock, judging_meter)
    worker: Worker | None = None
    if inference is not None and with_worker:
        worker = worker_of(ground, store, inference, policy, judging_meter)
    watermark = Watermark(store, clock, f"{ground.replica}/{uuid.uuid4().hex[:8]}")
    streams = StreamServer(
        STREAM,
        safety_pb2.ObserveResponse,
        ObserveHandler(observe, heeding, peers, meter.sessions.set),
        stream_store,
        clock,
        ground.tokens,
    )
    reporting, reviewing = Reporting(ledger), Reviewing(ledger, observe.dismissed)
    forgetting = Forgetting(ledger, stream_store.prune, clock, kept_s=settings.snapshot_ttl_s)

    def bind(server: grpc.aio.Server) -> None:
        safety_pb2_grpc.add_SafetyServiceServicer_to_server(SafetyApi(streams, reporting), server)
        review_pb2_grpc.add_ReviewServiceServicer_to_server(ReviewApi(reviewing), server)
        safety_pb2_grpc.add_EvidenceServiceServicer_to_server(EvidenceApi(evidencing), server)

    return Service(
        name=NAME,
        grpc_names=GRPC_NAMES,
        bind=bind,
        tasks=(
            BackgroundTask("moderation.commit", commit.run),
            BackgroundTask("moderation.ends", telling.run),
            BackgroundTask(
                "moderation.matches", following(ground.log, store, clock, ground.consumer_metrics)
            ),
            BackgroundTask("moderation.forgetting", forgetting.run),
            BackgroundTask(
                "moderation.opinions",
                lambda: follow_opinions(ground.log, heeding, clock, ground.consumer_metrics),
            ),
            BackgroundTask("moderation.watermark", watermark.run),
            *(worker.tasks if worker else ()),
        ),
        drain=streams.drain,
        ready=lambda: worker is None or worker.banking.tried.is_set(),
        closers=(commit.commit, *((inference.close,) if inference else ())),
        routes=http.routes(
            reviewing,
            lambda token: ground.tokens.verify(token, audience_of(NAME)),
            development=ground.development,
        ),
    )
