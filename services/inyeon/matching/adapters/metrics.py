"""Metrics of matching on /metrics. Never by user; by pool and reason only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.tickets import TicketEnd

PASS_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
WAIT_BUCKETS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


class PrometheusMeter:
    """`Meter` on a registry."""

    def __init__(self, registry: CollectorRegistry, pool: str) -> None:
        self._pass_s = Histogram(
            "inyeon_matching_pass_seconds",
            "Time a pass took to decide.",
            ["pool"],
            registry=registry,
            buckets=PASS_BUCKETS_S,
        ).labels(pool)
        self._wait_s = Histogram(
            "inyeon_matching_wait_seconds",
            "Waiting time of people who were matched, pauses not counted.",
            ["pool"],
            registry=registry,
            buckets=WAIT_BUCKETS_S,
        ).labels(pool)
        self._took_part = Gauge(
            "inyeon_matching_took_part",
            "People in the last pass.",
            ["pool"],
            registry=registry,
        ).labels(pool)
        self._depth = Gauge(
            "inyeon_matching_people",
            "People waiting (paused included), paused, and in live matches.",
            ["pool", "state"],
            registry=registry,
        )
        self._pairs = Counter(
            "inyeon_matching_pairs_total",
            "Pairs decided by passes; left_out: refused by the commit's second look.",
            ["pool", "fate"],
            registry=registry,
        )
        self._matches_over = Counter(
            "inyeon_matching_matches_over_total",
            "Matches that ended, by reason.",
            ["reason"],
            registry=registry,
        )
        self._tickets_over = Counter(
            "inyeon_matching_tickets_over_total",
            "Tickets that ended, by reason.",
            ["reason"],
            registry=registry,
        )
        self._paused = Counter(
            "inyeon_matching_pauses_total",
            "Tickets that were paused, by gate.",
            ["gate"],
            registry=registry,
        )
        self._pool = pool

    def wave(self, took_s: float, took_part: int, pairs: int, left_out: int) -> None:
        self._pass_s.observe(took_s)
        self._took_part.set(took_part)
        self._pairs.labels(self._pool, "committed").inc(pairs - left_out)
        self._pairs.labels(self._pool, "left_out").inc(left_out)

    def waiting(self, waiting: int, paused: int, live: int) -> None:
        self._depth.labels(self._pool, "waiting").set(waiting)
        self._depth.labels(self._pool, "paused").set(paused)
        self._depth.labels(self._pool, "meeting").set(2 * live)

    def matched(self, waited_s: float) -> None:
        self._wait_s.observe(waited_s)

    def over(self, reason: EndReason) -> None:
        self._matches_over.labels(reason.name).inc()

    def ticket_over(self, end: TicketEnd) -> None:
        self._tickets_over.labels(end.value).inc()

    def paused(self, gate: Gate) -> None:
        self._paused.labels(gate.name).inc()
