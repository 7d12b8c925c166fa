"""Metrics of scores on /metrics."""

from __future__ import annotations

from copy import copy

from prometheus_client import CollectorRegistry

from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.runtime.telemetry import gauge

_NOBODY = ScoreModel("none", 1.0, {"interests": 1.0})


class PrometheusScoreMeter:
    """`ScoreMeter`, for one pool; `for_pool` gives those of others."""

    def __init__(self, registry: CollectorRegistry, pool: str) -> None:
        self._score = gauge(
            registry, "inyeon_matching_score", "1: the last wave went by it", ("pool", "version")
        )
        self._share = gauge(
            registry, "inyeon_matching_explored_share", "Share of waves that explore", ("pool",)
        )
        self._arm = gauge(
            registry, "inyeon_matching_arm", "1: this arm's window", ("pool", "experiment", "arm")
        )
        self._troubled = gauge(
            registry, "inyeon_matching_score_trouble", "1: the last good one counts", ("pool",)
        )
        self._pool, self._shown = pool, Course(model=_NOBODY)

    def for_pool(self, pool: str) -> PrometheusScoreMeter:
        other = copy(self)
        other._pool, other._shown = pool, Course(model=_NOBODY)
        return other

    def course(self, course: Course) -> None:
        before, self._shown = self._shown, course
        if before is course or before == course:
            return
        pool = self._pool
        if before.model.version != course.model.version and before.model is not _NOBODY:
            self._score.remove(pool, before.model.version)
        self._score.labels(pool, course.model.version).set(1)
        self._share.labels(pool).set(1 - course.shares[0][1] if course.shares else 0)
        if before.experiment:
            self._arm.remove(pool, before.experiment, before.model.version)
        if course.experiment:
            self._arm.labels(pool, course.experiment, course.model.version).set(1)

    def trouble(self, there_is: bool) -> None:
        self._troubled.labels(self._pool).set(there_is)
