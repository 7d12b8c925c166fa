"""Metrics of inference. Labels are names of models and banks, never people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inyeon.inference.catalogue import ModelName
from inyeon.runtime.telemetry import LATENCY_BUCKETS_S

Outcome = Literal[
    "ok", "unavailable", "refused", "deadline", "overloaded", "failed", "hedged", "cancelled"
]


class InferenceMetrics:
    """What the guard counts; made once for each registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "inyeon_inference_requests",
            "Questions to models, by how they ended",
            ["model", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "inyeon_inference_seconds",
            "Time until a model answered",
            ["model"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._breaker = Gauge(
            "inyeon_inference_breaker",
            "0 closed, 1 half-open, 2 open",
            ["model"],
            registry=registry,
        )
        self._degraded = Gauge(
            "inyeon_inference_degraded",
            "1 while the default second opinion does not answer",
            registry=registry,
        )
        self._entries = Gauge(
            "inyeon_inference_bank_entries", "Confirmed cases", ["bank"], registry=registry
        )
        self._generation = Gauge(
            "inyeon_inference_bank_generation",
            "Generation of the banks that were put last",
            registry=registry,
        )
        self._known: set[str] = set()

    def asked(self, model: ModelName, outcome: Outcome) -> None:
        """A question ended."""
        self._requests.labels(model, outcome).inc()

    def answered(self, model: ModelName, took_s: float) -> None:
        """A question was answered."""
        self._seconds.labels(model).observe(took_s)

    def state(self, breakers: Mapping[ModelName, int], degraded: bool) -> None:
        """Breakers (0 closed, 1 half-open, 2 open) and the flag, now."""
        for model, value in breakers.items():
            self._breaker.labels(model).set(value)
        self._degraded.set(float(degraded))

    def banks(self, sizes: Mapping[str, int], generation: int) -> None:
        """The banks that were put last; a bank that is gone has no entries."""
        for bank in self._known - set(sizes):
            self._entries.labels(bank).set(0)
        for bank, size in sizes.items():
            self._entries.labels(bank).set(size)
        self._known |= set(sizes)
        self._generation.set(generation)
