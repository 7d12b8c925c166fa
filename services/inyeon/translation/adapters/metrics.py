"""Metrics of translation. Labels are tiers, pairs and reasons; never a person, never a text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inyeon.translation.domain.languages import LANGUAGES

# 120 ms is the aim for a text at p95, 1 s the deadline of a final (facts, section 10).
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.12, 0.25, 0.5, 1.0, 2.0)


class PrometheusObserver:
    """Observer over one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "inyeon_translation_answers",
            "Texts by the tier that answered, or untranslated",
            ["tier", "pair"],
            registry=registry,
        )
        self._seconds = Histogram(
            "inyeon_translation_answer_seconds",
            "Time from text to answer",
            ["tier"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refusals = Counter(
            "inyeon_translation_refusals",
            "Engine answers that were not used, by reason",
            ["tier", "reason"],
            registry=registry,
        )
        self._lookups = Counter(
            "inyeon_translation_cache_lookups",
            "Sentences looked up, by hit or miss",
            ["result"],
            registry=registry,
        )
        self._captions = Counter(
            "inyeon_translation_captions",
            "Captions by what happened to them: final, partial, late, repeated, confirmed",
            ["event"],
            registry=registry,
        )
        self._screened = Counter(
            "inyeon_translation_screened",
            "Texts by side and by what the screen made of them",
            ["side", "outcome"],
            registry=registry,
        )
        self._screen_seconds = Histogram(
            "inyeon_translation_screen_seconds",
            "Time from text to scores, waiting included",
            ["side"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._escalations = Counter(
            "inyeon_translation_escalations",
            "Flagged finals by what became of the flag",
            ["outcome"],
            registry=registry,
        )
        self.screen_on = Gauge(
            "inyeon_translation_screen_on",
            "1 while texts are screened here",
            registry=registry,
        )
        self.streams = Gauge(
            "inyeon_translation_streams", "Converse streams that are open here", registry=registry
        )
        self.routes = Gauge(
            "inyeon_translation_routes",
            "Pairs that a tier can translate; 0 where the tier is absent",
            ["tier"],
            registry=registry,
        )

    def answered(self, tier: str, pair: str, seconds: float) -> None:
        """As Observer says. A pair with a language outside the 19 counts as other."""
        known = all(part in LANGUAGES or not part for part in pair.split("-"))
        self._answers.labels(tier, pair if known else "other").inc()
        self._seconds.labels(tier).observe(seconds)

    def refused(self, tier: str, reason: str) -> None:
        """As Observer says."""
        self._refusals.labels(tier, reason).inc()

    def cached(self, hit: bool) -> None:
        """As Observer says."""
        self._lookups.labels("hit" if hit else "miss").inc()

    def caption(self, event: str) -> None:
        """As Observer says."""
        self._captions.labels(event).inc()

    def screened(self, side: str, outcome: str, seconds: float) -> None:
        """As ScreenObserver says."""
        self._screened.labels(side, outcome).inc()
        self._screen_seconds.labels(side).observe(seconds)

    def escalated(self, outcome: str) -> None:
        """As ScreenObserver says."""
        self._escalations.labels(outcome).inc()

    def flags_lost(self, count: int) -> None:
        """Flags that memory could not keep while the store was away."""
        self._escalations.labels("lost").inc(count)
