"""Metrics of matching on /metrics. Never by user."""

from __future__ import annotations

from copy import copy

from prometheus_client import CollectorRegistry, Histogram

from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.runtime.telemetry import MetricName, counter, gauge, histogram

WAIT_NAME: MetricName = "inyeon_matching_wait_seconds"
GROUP_WAIT_NAME: MetricName = "inyeon_matching_group_wait_seconds"
LANGUAGES = frozenset({"ar", "de", "en", "es", "fa", "fr", "hi", "id", "it", "ja"}) | frozenset(
    {"ko", "pl", "pt", "ru", "th", "tr", "uk", "vi", "zh"}
)
"""The platform's; all others are one group, so that nobody makes series by wishing."""
POOL_MODES = (*(mode.name.lower() for mode in PoolMode), "stopped")
"""Stopped: by the kill switch, whatever was said of the pool."""
WAITS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
"""People wait longer than calls take: half a wave to five minutes."""


class PrometheusMeter:
    """`Meter` on a registry, for one pool; `for_pool` gives those of others."""

    def __init__(self, registry: CollectorRegistry, pool: str) -> None:
        by_pool = ("pool",)
        self._pass_s_of = histogram(
            registry, "inyeon_matching_pass_seconds", "Time a pass took to decide", by_pool
        )
        self._wait_s_of = Histogram(
            WAIT_NAME, "Waiting time until a match", by_pool, registry=registry, buckets=WAITS_S
        )
        self._took_part_of = gauge(
            registry, "inyeon_matching_took_part", "People in the last pass", by_pool
        )
        self._depth = gauge(
            registry, "inyeon_matching_people", "People waiting, paused, meeting", ("pool", "state")
        )
        self._pairs = counter(
            registry, "inyeon_matching_pairs", "Pairs that passes decided", ("pool", "fate")
        )
        self._matches_over = counter(
            registry, "inyeon_matching_matches_over", "Matches that ended", ("reason",)
        )
        self._tickets_over = counter(
            registry, "inyeon_matching_tickets_over", "Tickets that ended", ("reason",)
        )
        self._paused = counter(
            registry, "inyeon_matching_pauses", "Tickets that were paused", ("gate",)
        )
        self._owner_of = gauge(
            registry, "inyeon_matching_pool_owner", "1 while this replica owns the pool", by_pool
        )
        self._verdict_age_s_of = gauge(
            registry, "inyeon_matching_verdict_age_seconds", "How old verdicts may be", by_pool
        )
        self._gap_of = gauge(
            registry, "inyeon_matching_gap", "Share of the best total missing at most", by_pool
        )
        self._shed_of = counter(
            registry, "inyeon_matching_shed", "People a pass could not take", by_pool
        )
        self._mode = gauge(
            registry, "inyeon_matching_pool_mode", "1 for what is in force", ("pool", "mode")
        )
        self._waited = Histogram(
            GROUP_WAIT_NAME,
            "Waiting time of tickets that ended, by first language and declared gender",
            ("language", "gender", "end"),
            registry=registry,
            buckets=WAITS_S,
        )
        self._offers = counter(
            registry, "inyeon_matching_widening_offers", "Offers at the bound", ("estimated",)
        )
        self._is_of(pool)

    def for_pool(self, pool: str) -> PrometheusMeter:
        """The same metrics under another pool's label."""
        other = copy(self)
        other._is_of(pool)
        return other

    def _is_of(self, pool: str) -> None:
        self._pool = pool
        self._pass_s = self._pass_s_of.labels(pool)
        self._wait_s = self._wait_s_of.labels(pool)
        self._took_part = self._took_part_of.labels(pool)
        self._owner = self._owner_of.labels(pool)
        self._gap = self._gap_of.labels(pool)
        self._shed = self._shed_of.labels(pool)
        self._verdict_age_s = self._verdict_age_s_of.labels(pool)

    def wave(self, took_s: float, took_part: int, pairs: int, left_out: int) -> None:
        self._pass_s.observe(took_s)
        self._took_part.set(took_part)
        self._pairs.labels(self._pool, "committed").inc(pairs - left_out)
        self._pairs.labels(self._pool, "left_out").inc(left_out)

    def engine(self, gap: float, shed: int) -> None:
        self._gap.set(gap)
        self._shed.inc(shed)

    def waiting(self, waiting: int, paused: int, live: int) -> None:
        self._depth.labels(self._pool, "waiting").set(waiting)
        self._depth.labels(self._pool, "paused").set(paused)
        self._depth.labels(self._pool, "meeting").set(2 * live)

    def matched(self, waited_s: float) -> None:
        self._wait_s.observe(waited_s)

    def waited(self, ticket: Ticket, waited_s: float, end: TicketEnd) -> None:
        language = ticket.wish.languages[0].tag
        group = language if language in LANGUAGES else "other", ticket.person.gender.name
        self._waited.labels(*group, end.value).observe(waited_s)

    def offered(self, estimated: bool) -> None:
        self._offers.labels(str(estimated).lower()).inc()

    def over(self, reason: EndReason) -> None:
        self._matches_over.labels(reason.name).inc()

    def ticket_over(self, end: TicketEnd) -> None:
        self._tickets_over.labels(end.value).inc()

    def mode(self, mode: PoolMode, stopped: bool) -> None:
        now = "stopped" if stopped else mode.name.lower()
        for name in POOL_MODES:
            self._mode.labels(self._pool, name).set(name == now)

    def owns(self, owner: bool) -> None:
        self._owner.set(owner)

    def verdicts_aged(self, age_s: float) -> None:
        self._verdict_age_s.set(age_s)

    def paused(self, gate: Gate) -> None:
        self._paused.labels(gate.name).inc()
