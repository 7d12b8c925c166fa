"""Moderation's metrics, all named here with their meaning."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inyeon.moderation.domain.directive import Action
from inyeon.moderation.domain.opinions import Judged, Source
from inyeon.moderation.domain.verdict import Transition


class PrometheusMeter:
    """Meter on a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._windows = Counter(
            "inyeon_moderation_windows", "Windows taken in", ["kind"], registry=registry
        )
        self._kinds = {
            kind: self._windows.labels(kind)
            for kind in ("own", "partner", "foreign", "partner_untold")
        }
        self._moved = Counter(
            "inyeon_moderation_verdict_changes",
            "Verdicts that changed",
            ["verdict", "reason"],
            registry=registry,
        )
        self._directed = Counter(
            "inyeon_moderation_directives", "Directives sent", ["action"], registry=registry
        )
        self._commits = Histogram(
            "inyeon_moderation_commit_seconds",
            "Group commits: time in the transaction",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
            registry=registry,
        )
        self._committed = Counter(
            "inyeon_moderation_committed_sessions",
            "Sessions written by group commits",
            registry=registry,
        )
        self._failed = Counter(
            "inyeon_moderation_commit_failures", "Group commits tried again", registry=registry
        )
        self.sessions = Gauge(
            "inyeon_moderation_sessions", "Observe streams held here", registry=registry
        )

    def window(self, kind: str) -> None:
        self._kinds[kind].inc()

    def moved(self, transition: Transition) -> None:
        self._moved.labels(transition.after.value, transition.reason).inc()

    def directed(self, action: Action) -> None:
        self._directed.labels(action.value).inc()

    def committed(self, sessions: int, took_s: float) -> None:
        self._commits.observe(took_s)
        self._committed.inc(sessions)

    def commit_failed(self) -> None:
        self._failed.inc()


class JudgingMetrics:
    """JudgingMeter on a registry. One for each process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._opinions = Counter(
            "inyeon_moderation_opinions",
            "Second opinions given",
            ["source", "verdict", "reason"],
            registry=registry,
        )
        self._seconds = Histogram(
            "inyeon_moderation_judging_seconds",
            "Escalations: time until models answered or did not",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
            registry=registry,
        )
        self._broken = Counter(
            "inyeon_moderation_judging_errors",
            "Answers of models that broke on their way",
            registry=registry,
        )
        self._cases = Counter(
            "inyeon_moderation_opinion_cases",
            "Cases opened or joined by opinions",
            registry=registry,
        )
        self._degraded = Gauge(
            "inyeon_moderation_models_degraded",
            "1 while the models do not answer",
            registry=registry,
        )
        self._banked = Gauge(
            "inyeon_moderation_bank_entries", "Bank entries in force here", registry=registry
        )
        self._heard = Counter(
            "inyeon_moderation_opinions_heard",
            "Opinions that reached this replica",
            ["fate"],
            registry=registry,
        )

    def judged(self, source: Source, judged: Judged, took_s: float) -> None:
        self._opinions.labels(source.value, judged.verdict.value, judged.reason).inc()
        self._seconds.observe(took_s)

    def broke(self) -> None:
        self._broken.inc()

    def opened_cases(self, count: int) -> None:
        self._cases.inc(count)

    def degraded(self, degraded: bool) -> None:
        self._degraded.set(degraded)

    def banked(self, entries: int) -> None:
        self._banked.set(entries)

    def heard(self, fate: str) -> None:
        self._heard.labels(fate).inc()
