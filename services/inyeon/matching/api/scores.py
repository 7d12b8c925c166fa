"""ScoreService: versions of the score for operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from inyeon.matching.adapters.wire import duration, timestamp
from inyeon.matching.app.experiments import Experiments, Planned, Result
from inyeon.matching.app.scores import PoolScores, Scores
from inyeon.matching.domain.effects import Effect
from inyeon.matching.domain.guarding import Guardrail
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.score_words import Word
from inyeon.runtime.identity.context import current_claims
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc

SHOWN = 50


class ScoreServicer(matching_pb2_grpc.ScoreServiceServicer):
    """gRPC; role operator. Every method raises NotAllowed (ROLE_MISSING), StoreUnavailable."""

    def __init__(self, scores: Scores, experiments: Experiments) -> None:
        self._scores, self._experiments = scores, experiments

    async def ListScores(
        self, request: matching_pb2.ListScoresRequest, context: Any
    ) -> matching_pb2.ListScoresResponse:
        """Also where the registry cannot be read: then what was read last, and why."""
        roles = current_claims().roles
        registry, trouble = await self._scores.registry(roles)
        return matching_pb2.ListScoresResponse(
            versions=[version_to(model) for model in registry.models],
            pools=[
                _pool(pool, await self._experiments.result(pool))
                for pool in await self._scores.pools(roles)
            ],
            registry_trouble=trouble,
        )

    async def ActivateScore(
        self, request: matching_pb2.ActivateScoreRequest, context: Any
    ) -> matching_pb2.ActivateScoreResponse:
        """Raises NotFound, InvalidRequest, PreconditionFailed."""
        who = current_claims()
        said = request.pool, request.version, request.note
        version = await self._scores.activate(who.roles, who.subject, *said)
        return matching_pb2.ActivateScoreResponse(version=version)

    async def RollBackScore(
        self, request: matching_pb2.RollBackScoreRequest, context: Any
    ) -> matching_pb2.RollBackScoreResponse:
        """Raises NotFound, PreconditionFailed."""
        who = current_claims()
        version = await self._scores.roll_back(who.roles, who.subject, request.pool, request.note)
        return matching_pb2.RollBackScoreResponse(version=version)

    async def StartExperiment(
        self, request: matching_pb2.StartExperimentRequest, context: Any
    ) -> matching_pb2.StartExperimentResponse:
        """Raises NotFound, InvalidRequest, PreconditionFailed."""
        who = current_claims()
        planned = Planned(
            request.pool,
            request.name,
            request.control,
            request.candidate,
            request.window.ToTimedelta().total_seconds(),
            request.burn_in.ToTimedelta().total_seconds(),
            request.blocks,
            tuple(Guardrail(one.metric, one.tolerance, one.floor) for one in request.guardrails),
            request.note,
        )
        begun = await self._experiments.start(who.roles, who.subject, planned)
        ends_s = begun.plan.start_s + begun.windows * begun.plan.window_s
        return matching_pb2.StartExperimentResponse(number=begun.number, ends_at=_moment(ends_s))

    async def StopExperiment(
        self, request: matching_pb2.StopExperimentRequest, context: Any
    ) -> matching_pb2.StopExperimentResponse:
        """Raises NotFound, PreconditionFailed."""
        who = current_claims()
        said = request.pool, request.note
        version = await self._experiments.stop(who.roles, who.subject, *said)
        return matching_pb2.StopExperimentResponse(version=version)


def version_to(model: ScoreModel) -> matching_pb2.ScoreVersion:
    """As a message."""
    return matching_pb2.ScoreVersion(
        version=model.version,
        meeting=model.meeting,
        weights=dict(model.weights),
        note=model.note,
        digest=model.digest,
    )


def _pool(scores: PoolScores, result: Result | None) -> matching_pb2.PoolScore:
    return matching_pb2.PoolScore(
        pool=scores.pool,
        version=scores.usual.version,
        before=[model.version for model in scores.state.activations[:-1]],
        history=[_word(word) for word in reversed(scores.words[-SHOWN:])],
        trouble=scores.state.unreadable,
        experiment=None if result is None else experiment_to(result),
    )


def experiment_to(result: Result) -> matching_pb2.Experiment:
    """As a message."""
    plan = result.experiment.plan
    return matching_pb2.Experiment(
        name=plan.name,
        number=result.number,
        arms=plan.arms,
        window=duration(plan.window_s),
        burn_in=duration(plan.burn_in_s),
        blocks=result.experiment.blocks,
        blocks_done=result.blocks_done,
        started_at=_moment(plan.start_s),
        running=result.running,
        arm=result.arm,
        guardrails=[
            matching_pb2.Guardrail(metric=rail.metric, tolerance=rail.tolerance, floor=rail.floor)
            for rail in result.experiment.guardrails
        ],
        effects=[_effect(one) for one in result.effects],
    )


def _effect(found: Effect) -> matching_pb2.Effect:
    return matching_pb2.Effect(
        arm=found.arm,
        metric=found.metric,
        value=found.value,
        low=found.low,
        high=found.high,
        control=found.control,
        blocks=found.blocks,
    )


def _moment(at_s: float) -> Timestamp:
    return timestamp(datetime.fromtimestamp(at_s, UTC))


def _word(word: Word) -> matching_pb2.ScoreWord:
    models = [] if word.model is None else [word.model]
    experiment = word.experiment
    return matching_pb2.ScoreWord(
        number=word.number,
        pool=word.pool,
        verb=word.verb.value,
        versions=[m.version for m in (models if experiment is None else experiment.models)],
        experiment="" if experiment is None else experiment.plan.name,
        said_by=word.said_by,
        said_at=_moment(word.at_s),
        note=word.note,
    )
