"""What an operator sees of consumers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.admitting import Fate
from inyeon.runtime.log.port import Record
from inyeon.runtime.telemetry import counter, histogram

ALL = "all"
"""Label of readers that belong to no group."""

_FATES = {Fate.APPLY: "applied", Fate.SEEN: "seen", Fate.REFUSED: "refused"}


class ConsumerMetrics:
    """Metrics of all consumers of a process. Build it once for each registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        fate, topic = ("group", "topic", "fate"), ("group", "topic")
        self.records = counter(registry, "inyeon_consumer_records", "Records by fate", fate)
        self.retries = counter(registry, "inyeon_consumer_retries", "Tries again", ("group",))
        self.letters = counter(
            registry, "inyeon_consumer_dead_letters", "Dead letters", (*topic, "reason")
        )
        self.seconds = histogram(
            registry, "inyeon_consumer_batch_seconds", "From records to commit", ("group",)
        )
        self.age = histogram(
            registry, "inyeon_consumer_age_seconds", "From occurrence to effect", topic
        )

    def followed(self, record: Record, fate: str) -> None:
        """A record that a reader outside of groups is done with: applied, seen or poison."""
        self.taken(ALL, record.topic, fate, 1)

    def taken(self, group: str, topic: str, fate: str, count: int) -> None:
        """Records of a member that is no `consume`."""
        self.records.labels(group, topic, fate).inc(count)


class ConsumerMeter:
    """The metrics of one group."""

    def __init__(self, metrics: ConsumerMetrics, group: str, clock: Clock) -> None:
        self._metrics = metrics
        self._group = group
        self._clock = clock

    def record(self, record: Record, fate: Fate) -> None:
        """A record that is done, without being poison."""
        self._metrics.records.labels(self._group, record.topic, _FATES[fate]).inc()
        if fate is Fate.APPLY:
            occurred = _moment(record.headers.get("occurred_at", "")) or record.published_at
            age_s = (self._clock.now() - occurred).total_seconds()
            self._metrics.age.labels(self._group, record.topic).observe(max(0.0, age_s))

    def poison(self, record: Record) -> None:
        """A record that is done because it went aside."""
        self._metrics.records.labels(self._group, record.topic, "poison").inc()

    def dead_letters(self, records: Sequence[Record], reason: str) -> None:
        """Letters that are in the log. Followers of a poison record have one too."""
        for record in records:
            self._metrics.letters.labels(self._group, record.topic, reason).inc()

    def batch(self, took_s: float) -> None:
        """A batch is in the database."""
        self._metrics.seconds.labels(self._group).observe(took_s)

    def retried(self) -> None:
        """Something is tried again."""
        self._metrics.retries.labels(self._group).inc()


def _moment(said: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
