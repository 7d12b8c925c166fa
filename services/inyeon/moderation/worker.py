"""The worker: escalations -> models -> opinions and cases. Part of moderation: the same store.

Two or more may run; each takes some partitions of `moderation.escalations`. `inyeon up` runs one
inside moderation, a platform of many processes runs `inyeon serve moderation-worker`.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from inyeon.inference.port import Inference
from inyeon.moderation.adapters.escalation_reader import EscalationReader
from inyeon.moderation.adapters.metrics import JudgingMetrics
from inyeon.moderation.adapters.models import OpenModels, open_models
from inyeon.moderation.adapters.opinion_follower import follow_banks
from inyeon.moderation.adapters.policy_file import read_policy
from inyeon.moderation.adapters.tables import TABLES
from inyeon.moderation.app.banking import Banking
from inyeon.moderation.app.judging import Judging
from inyeon.moderation.app.watching import Watching
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.settings import ModerationSettings
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.store.port import Store

STORE = "moderation"
NAME = "moderation-worker"


@dataclass(frozen=True, slots=True)
class Worker:
    """A built worker, not yet started."""

    banking: Banking
    tasks: tuple[BackgroundTask, ...]


def worker_of(
    ground: Ground, store: Store, inference: Inference, policy: Policy, meter: JudgingMetrics
) -> Worker:
    """The worker on what its process has already opened."""
    clock, log = ground.clock, ground.log
    banking = Banking(inference, clock, meter)
    judging = Judging(inference, policy.opinions, clock, meter)
    reader = EscalationReader(log, store, judging, clock, meter, ground.consumer_metrics)

    async def read() -> None:
        await banking.tried.wait()  # before the banks are known a match would be missed
        await reader.run()

    return Worker(
        banking,
        (
            BackgroundTask("moderation.models", Watching(inference, clock, meter).run),
            BackgroundTask(
                "moderation.banks",
                lambda: follow_banks(log, banking, clock, ground.consumer_metrics),
            ),
            BackgroundTask("moderation.bank-feed", banking.run),
            BackgroundTask("moderation.escalations", read),
        ),
    )


async def build_worker(
    settings: ModerationSettings, ground: Ground, models: OpenModels = open_models
) -> Service:
    """The worker alone. Ready while its models give their known answer; it works on while they do
    not, and people decide. Raises PolicyRefused, SettingsRefused, StoreUnavailable."""
    policy = read_policy(settings.policy).policy
    store = await ground.store(STORE, TABLES)
    inference = await models(ground)
    worker = worker_of(ground, store, inference, policy, JudgingMetrics(ground.metrics))
    return Service(
        name=NAME,
        grpc_names=(),
        bind=_nothing,
        tasks=worker.tasks,
        ready=lambda: worker.banking.tried.is_set() and not inference.degraded,
        closers=(inference.close,),
    )


def _nothing(server: grpc.aio.Server) -> None:
    """A worker listens to the log alone."""
