"""The one way in for services."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from inyeon.inference.catalogue import JUDGE, MODEL_NAMES, ModelName
from inyeon.inference.certificates import read_certificates
from inyeon.inference.engine import Engine, Models
from inyeon.inference.guarded import GuardedInference
from inyeon.inference.in_process import InProcessEngine
from inyeon.inference.metrics import InferenceMetrics
from inyeon.inference.settings import Hedge, InferenceSettings
from inyeon.inference.triton import TritonEngine
from inyeon.runtime.clock import Clock

HEDGED: dict[Hedge, frozenset[ModelName]] = {
    "off": frozenset(),
    "embedding": frozenset({JUDGE}),
    "all": frozenset(MODEL_NAMES),
}


async def open_inference(
    settings: InferenceSettings, clock: Clock, metrics: CollectorRegistry
) -> GuardedInference:
    """Opens what the settings ask for and asks every model its known answer once.

    A Triton that does not answer is no error: the inference is degraded until it does. Raises
    SettingsRefused for model files that are absent or disagree. Metrics of one registry belong to
    one inference.
    """
    models = await asyncio.to_thread(Models.load, settings.models_dir)
    engine, hedge = _engines(settings, models, clock)
    inference = GuardedInference(
        engine,
        models,
        settings,
        clock,
        InferenceMetrics(metrics),
        hedge,
        HEDGED[settings.hedge],
    )
    try:
        await inference.start()
    except BaseException:
        await inference.close()
        raise
    return inference


def _engines(
    settings: InferenceSettings, models: Models, clock: Clock
) -> tuple[Engine, Engine | None]:
    if not settings.triton:
        return InProcessEngine(models, settings.threads), None
    certificates = None if settings.triton_ca is None else read_certificates(settings.triton_ca)
    engine = TritonEngine(settings.triton, settings.bank_scope, models, clock, certificates)
    if settings.hedge == "off":
        return engine, None
    return engine, InProcessEngine(models, settings.threads)
