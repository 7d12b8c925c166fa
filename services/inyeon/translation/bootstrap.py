"""Builds translation from its settings and the ground: the only place that knows its adapters."""

from __future__ import annotations

import grpc
import structlog

from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon.translation.adapters.apertium import ApertiumEngine
from inyeon.translation.adapters.apertium_place import Route, find
from inyeon.translation.adapters.key import caption_key
from inyeon.translation.adapters.langid import Py3LangId
from inyeon.translation.adapters.matches import following
from inyeon.translation.adapters.metrics import PrometheusObserver
from inyeon.translation.adapters.post import PeersPost
from inyeon.translation.adapters.tables import TABLES, stream_sessions
from inyeon.translation.api import http
from inyeon.translation.api.converse import ConverseHandler
from inyeon.translation.api.grpc import TranslationApi
from inyeon.translation.app.cache import AnswerCache
from inyeon.translation.app.converse import Conversations
from inyeon.translation.app.tiers import Tiers
from inyeon.translation.app.translate import Translator
from inyeon.translation.data import read_phrasebook
from inyeon.translation.settings import TranslationSettings
from inyeon_protos.translation.v1 import translation_pb2 as pb
from inyeon_protos.translation.v1 import translation_pb2_grpc

NAME = "translation"
STREAM = "converse"


ABSENT = "not installed; sentences beyond the phrasebook are shown untranslated"

_log = structlog.get_logger(__name__)


async def build(settings: TranslationSettings, ground: Ground) -> Service:
    """The service, not yet started. Raises SettingsRefused, StoreUnavailable, OSError."""
    clock, observer = ground.clock, PrometheusObserver(ground.metrics)
    identifier = Py3LangId()
    apertium = _apertium(settings, observer)
    engines = () if apertium is None else (apertium,)
    cache = AnswerCache(settings.cache_size, observer.cached)
    tiers = Tiers(engines, cache, clock, observer)
    phrasebook = read_phrasebook(settings.phrasebook)
    translator = Translator(phrasebook, tiers, identifier, clock, observer)

    peers = ground.peers(NAME)
    post = PeersPost(peers)
    key = caption_key(settings.mac_key.get_secret_value(), ground.data_dir)
    conversations = Conversations(translator, post, clock, observer, key)
    handler = ConverseHandler(
        conversations, post, peers, ground.verifier("matching"), clock, observer.streams.set
    )
    sessions = StoreSessions(await ground.store(NAME, TABLES), stream_sessions, clock)
    stream = StreamServer(STREAM, pb.ConverseResponse, handler, sessions, clock, ground.tokens)
    api = TranslationApi(translator, stream)

    def bind(server: grpc.aio.Server) -> None:
        translation_pb2_grpc.add_TranslationServiceServicer_to_server(api, server)

    async def upkeep() -> None:
        await identifier.warm()
        if apertium is not None:
            await apertium.warm(_pairs(settings))
        await handler.watch_grants()

    async def close_engines() -> None:
        await cache.close()
        if apertium is not None:
            await apertium.close()

    return Service(
        name=NAME,
        grpc_names=("inyeon.translation.v1.TranslationService",),
        bind=bind,
        tasks=(
            BackgroundTask("translation.upkeep", upkeep),
            BackgroundTask(
                "translation.matches", following(ground.log, conversations.match_ended, clock)
            ),
        ),
        ready=lambda: identifier.ready,
        drain=stream.drain,
        closers=(close_engines, identifier.unload),
        routes=http.routes(
            tiers.routes,
            apertium.state if apertium is not None else dict,
            "" if apertium is not None else ABSENT,
        ),
    )


def _apertium(settings: TranslationSettings, observer: PrometheusObserver) -> ApertiumEngine | None:
    place = find(settings.apertium_root, settings.tools_dir) if settings.apertium else None
    if place is None:
        observer.routes.labels("apertium").set(0)
        _log.warning("apertium.absent", effect=ABSENT)
        return None
    engine = ApertiumEngine(place)
    observer.routes.labels("apertium").set(len(engine.routes()))
    return engine


def _pairs(settings: TranslationSettings) -> frozenset[Route]:
    pairs = (pair.partition("-") for pair in settings.warm_pairs)
    return frozenset((source, target) for source, _, target in pairs)
