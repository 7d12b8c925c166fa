"""What an operator sees of the log on Kafka. Groups that carry an epoch in their name share one
label, so that labels stay few."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from inyeon.runtime.telemetry import counter, gauge

_EPOCH = re.compile(r"-[0-9]+$")


class KafkaMetrics:
    """Build it once for each registry. Safe to use from many threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        of_group = ("group",)
        self._lag = gauge(registry, "inyeon_log_lag", "Records not taken yet", ("group", "topic"))
        self._rebalances = counter(registry, "inyeon_log_rebalances", "Rebalances", of_group)
        self._paused_s = counter(registry, "inyeon_log_paused_seconds", "Back-pressure", of_group)
        self._replaced = counter(registry, "inyeon_log_clients_replaced", "Stuck", ("client",))
        self._published = counter(registry, "inyeon_log_published", "Acknowledged", ("topic",))
        self._failures = counter(registry, "inyeon_log_publish_failures", "Failed", ("reason",))
        self._lags: dict[tuple[str, str], dict[int, int]] = {}
        self._guard = threading.Lock()  # of _lags: several readers share a label

    def behind(self, group: str, reader: int, lags: Mapping[str, int]) -> None:
        """How many records of each topic `reader` still has to take; without an entry: none of its
        partitions are here any more."""
        label = group_label(group)
        with self._guard:
            for (known, topic), by_reader in self._lags.items():
                if known == label and topic not in lags:
                    by_reader.pop(reader, None)
            for topic, lag in lags.items():
                self._lags.setdefault((label, topic), {})[reader] = lag
            self._show(label)

    def shared_out(self, group: str) -> None:
        """Partitions of a member changed."""
        self._rebalances.labels(group_label(group)).inc()

    def paused(self, group: str, duration_s: float) -> None:
        """Nothing was fetched for so long, because the application was slower."""
        self._paused_s.labels(group_label(group)).inc(duration_s)

    def replaced(self, client: str) -> None:
        """A client made no progress although it should have: producer, member or reader."""
        self._replaced.labels(client).inc()

    def published(self, counts: Mapping[str, int]) -> None:
        """Records acknowledged, by topic."""
        for topic, count in counts.items():
            self._published.labels(topic).inc(count)

    def failed(self, reason: str) -> None:
        """A batch was refused or not acknowledged in time."""
        self._failures.labels(reason).inc()

    def _show(self, label: str) -> None:
        for (known, topic), by_reader in list(self._lags.items()):
            if known != label:
                continue
            if by_reader:
                self._lag.labels(label, topic).set(sum(by_reader.values()))
            else:
                del self._lags[known, topic]
                self._lag.remove(label, topic)


def group_label(group: str) -> str:
    """The group without the epoch at its end."""
    return _EPOCH.sub("", group)
