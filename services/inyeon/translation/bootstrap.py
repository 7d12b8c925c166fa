"""Builds translation from its settings and the ground: the only place that knows its adapters."""

from __future__ import annotations

import asyncio

import grpc
import structlog

from inyeon.inference.text import InProcessTextScreen
from inyeon.inference.text_model import NAME as NAME_OF_SCREEN
from inyeon.inference.text_model import TextModel, missing
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon.translation.adapters.apertium import ApertiumEngine
from inyeon.translation.adapters.apertium_place import Route, find
from inyeon.translation.adapters.flags import StoreFlags
from inyeon.translation.adapters.key import caption_key
from inyeon.translation.adapters.langid import Py3LangId
from inyeon.translation.adapters.matches import following
from inyeon.translation.adapters.metrics import PrometheusObserver
from inyeon.translation.adapters.post import PeersPost
from inyeon.translation.adapters.screen_policy import check_fits, read_screen_policy
from inyeon.translation.adapters.tables import TABLES, stream_sessions
from inyeon.translation.api import http
from inyeon.translation.api.converse import ConverseHandler
from inyeon.translation.api.grpc import TranslationApi
from inyeon.translation.app.cache import AnswerCache
from inyeon.translation.app.captioning import Captioner
from inyeon.translation.app.converse import Conversations
from inyeon.translation.app.screening import Screening
from inyeon.translation.app.tiers import Tiers
from inyeon.translation.app.translate import Translator
from inyeon.translation.data import read_phrasebook
from inyeon.translation.domain.screening import Policy
from inyeon.translation.settings import TranslationSettings
from inyeon_protos.translation.v1 import translation_pb2 as pb
from inyeon_protos.translation.v1 import translation_pb2_grpc

NAME = "translation"
STREAM = "converse"


OFF = "what people say is passed on unscreened, and captions do not claim otherwise"
UNSCREENED = "what people say is passed on unscreened, and every caption is marked so"
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
    store = await ground.store(NAME, TABLES)
    flags = StoreFlags(store, clock, observer.flags_lost)
    policy = read_screen_policy(settings.screen_policy)
    screen = await text_screen(settings, policy, observer, development=ground.development)
    screening = Screening(screen, policy, flags, clock, observer, wanted=settings.screen)
    captioner = Captioner(translator, screening, clock, observer, key)
    conversations = Conversations(captioner, post, clock, observer)
    handler = ConverseHandler(
        conversations, post, peers, ground.verifier("matching"), clock, observer.streams.set
    )
    sessions = StoreSessions(store, stream_sessions, clock)
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
        if screen is not None:
            await screen.close()

    return Service(
        name=NAME,
        grpc_names=("inyeon.translation.v1.TranslationService",),
        bind=bind,
        tasks=(
            BackgroundTask("translation.upkeep", upkeep),
            BackgroundTask("translation.flags", flags.run),
            BackgroundTask(
                "translation.matches",
                following(ground.log, conversations.match_ended, clock, ground.consumer_metrics),
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


async def text_screen(
    settings: TranslationSettings,
    policy: Policy,
    observer: PrometheusObserver,
    *,
    development: bool,
) -> InProcessTextScreen | None:
    """The screen of the settings; None where nobody screens: the operator's choice, or development
    without model files. Raises SettingsRefused (NO_MODELS, SCREEN_POLICY).
    """
    absent = missing(settings.models_dir) if settings.screen else ()
    observer.screen_on.set(settings.screen and not absent)
    if not settings.screen:
        _log.warning("screen.off", effect=OFF)
        return None
    if absent and development:
        _log.warning("screen.absent", effect=UNSCREENED, missing=absent, cure="make models")
        return None
    model = await asyncio.to_thread(TextModel.load, settings.models_dir)
    check_fits(policy, NAME_OF_SCREEN, model.version, model.classes)
    return InProcessTextScreen(model)


def _pairs(settings: TranslationSettings) -> frozenset[Route]:
    pairs = (pair.partition("-") for pair in settings.warm_pairs)
    return frozenset((source, target) for source, _, target in pairs)
