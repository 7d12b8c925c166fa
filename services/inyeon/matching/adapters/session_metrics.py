"""Metrics of session vectors on /metrics. Never by user; one set for all pools of a replica."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from inyeon.matching.app.session_ports import Fate
from inyeon.runtime.telemetry import MetricName, counter, gauge

LAG_NAME: MetricName = "inyeon_matching_session_lag_seconds"
STALENESS_NAME: MetricName = "inyeon_matching_session_staleness_seconds"
AGES_S = (0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)
"""From one gathering to beyond the 16 s up to which quality is measured."""


class PrometheusSessionMeter:
    """`SessionMeter` on a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._talks = counter(
            registry, "inyeon_matching_session_talks", "Talks by what became of them", ("fate",)
        )
        self._failures = counter(
            registry,
            "inyeon_matching_session_failures",
            "Questions that the session encoder, or the store, did not answer",
            ("reason",),
        )
        self._lag = Histogram(
            LAG_NAME, "End of a match until waves may use it", registry=registry, buckets=AGES_S
        )
        self._staleness = Histogram(
            STALENESS_NAME,
            "End of the first match that a vector lacked when its person was paired",
            registry=registry,
            buckets=(0, *AGES_S),
        )
        self._vectors = gauge(
            registry, "inyeon_matching_session_vectors", "People with a session vector"
        )
        self._waiting = gauge(
            registry, "inyeon_matching_session_waiting", "Talks that wait to be encoded"
        )

    def talks(self, fate: Fate, count: int) -> None:
        self._talks.labels(fate).inc(count)

    def failed(self, reason: str) -> None:
        self._failures.labels(reason).inc()

    def lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def staleness(self, seconds: float) -> None:
        self._staleness.observe(seconds)

    def state(self, known: int, waiting: int) -> None:
        self._vectors.set(known)
        self._waiting.set(waiting)
