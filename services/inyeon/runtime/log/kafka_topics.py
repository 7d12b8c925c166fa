"""A topic of our table as Kafka's configuration. Source of the names: Apache Kafka, topic-level
configuration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.upkeep import TOMBSTONE_KEPT

# A record is dropped with its whole segment, so a quarter of the retention is how much longer than
# promised it may stay; a day at most, a minute at least (each segment costs a file and an index).
_LONGEST_SEGMENT = timedelta(days=1)
_SHORTEST_SEGMENT = timedelta(minutes=1)
# Only closed segments are compacted.
_COMPACTED_SEGMENT = timedelta(hours=1)
# What was overwritten or erased is gone after a day and a segment, far within the 14 days that an
# erasure may take, however little is written.
_LONGEST_UNCOMPACTED = timedelta(days=1)
_MAX_BATCH_BYTES = 1024 * 1024


def topic_config(spec: TopicSpec, replication: int) -> dict[str, str]:
    """What we want of a topic, explicit where the broker's defaults may differ.

    Compression `uncompressed`: a batch that a foreign producer compressed with something that we
    cannot read would block its partition. Times are the broker's: a wrong clock of a producer
    cannot expire records early.
    """
    return {
        "cleanup.policy": _policy(spec),
        "retention.ms": "-1" if spec.retention is None else _ms(spec.retention),
        "segment.ms": _ms(_segment(spec)),
        "min.cleanable.dirty.ratio": "0.1",
        "max.compaction.lag.ms": _ms(_LONGEST_UNCOMPACTED),
        "delete.retention.ms": _ms(TOMBSTONE_KEPT),
        "min.insync.replicas": "2" if replication >= 3 else "1",
        "unclean.leader.election.enable": "false",
        "compression.type": "uncompressed",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(_MAX_BATCH_BYTES),
    }


def spec_from(name: str, partitions: int, config: Mapping[str, str]) -> TopicSpec:
    """What a topic on the broker is in our words."""
    policy = config.get("cleanup.policy", "delete").split(",")
    kept_ms = int(config.get("retention.ms", "-1"))
    kept = None if kept_ms < 0 or "delete" not in policy else timedelta(milliseconds=kept_ms)
    return TopicSpec(name, partitions, kept, "compact" in policy)


def _policy(spec: TopicSpec) -> str:
    if not spec.compacted:
        return "delete"
    return "compact" if spec.retention is None else "compact,delete"


def _segment(spec: TopicSpec) -> timedelta:
    if spec.retention is None:
        return _COMPACTED_SEGMENT if spec.compacted else _LONGEST_SEGMENT
    return min(_LONGEST_SEGMENT, max(_SHORTEST_SEGMENT, spec.retention / 4))


def _ms(duration: timedelta) -> str:
    return str(round(duration / timedelta(milliseconds=1)))
