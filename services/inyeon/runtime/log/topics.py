"""Every topic in one table, as ARCHITECTURE.md lists them. The dead letters of a topic go to
`<topic>.dlq`."""

from __future__ import annotations

from datetime import timedelta

from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.records import DLQ_SUFFIX

TICKETS = "matching.tickets"
MATCHES = "matching.matches"
DECISIONS = "matching.decisions"
OUTCOMES = "matching.outcomes"
USER_STATE = "matching.user-state"
VERDICTS = "moderation.verdicts"
ESCALATIONS = "moderation.escalations"
OPINIONS = "moderation.opinions"
SANCTIONS = "moderation.sanctions"
BANK_ENTRIES = "moderation.bank-entries"
OBSERVATIONS = "moderation.observations"
EDGES = "social.edges"
POLICIES = "policies.published"
ERASED = "people.erased"
ERASURE_CONFIRMED = "people.erasure-confirmed"

DLQ_KEPT = timedelta(days=14)

# Partitions bound how many replicas can share a group. People are many and their topics busy: 12
# divides among 2, 3, 4 and 6 replicas. Pools are few and each is owned whole: 8. What all replicas
# read needs no sharing, only order per key: 4 or 1.
TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(TICKETS, partitions=8, retention=timedelta(minutes=10)),
    TopicSpec(MATCHES, partitions=12, retention=timedelta(days=1)),
    TopicSpec(DECISIONS, partitions=8, retention=timedelta(days=1)),
    TopicSpec(OUTCOMES, partitions=12, retention=timedelta(days=7)),
    TopicSpec(USER_STATE, partitions=12, compacted=True),
    TopicSpec(VERDICTS, partitions=12, compacted=True),
    TopicSpec(ESCALATIONS, partitions=12, retention=timedelta(days=1)),
    TopicSpec(OPINIONS, partitions=12, retention=timedelta(hours=1)),
    TopicSpec(SANCTIONS, partitions=12, compacted=True),
    TopicSpec(BANK_ENTRIES, partitions=4, compacted=True),
    TopicSpec(OBSERVATIONS, partitions=12, retention=timedelta(days=7)),
    TopicSpec(EDGES, partitions=12, compacted=True),
    TopicSpec(POLICIES, partitions=1, compacted=True),
    TopicSpec(ERASED, partitions=4, retention=timedelta(days=14)),
    TopicSpec(ERASURE_CONFIRMED, partitions=4, retention=timedelta(days=14)),
)

STATE_TOPICS = frozenset(spec.name for spec in TOPICS if spec.compacted)
"""Topics whose consumers keep the highest version per key; of all others they keep event ids."""


def dlq_of(topic: str) -> str:
    """Name of the topic's dead letters."""
    return topic + DLQ_SUFFIX


def dlq_spec(topic: str) -> TopicSpec:
    """Dead letters are few: one partition keeps them in the order in which they were refused."""
    return TopicSpec(dlq_of(topic), partitions=1, retention=DLQ_KEPT)


def all_specs() -> tuple[TopicSpec, ...]:
    """Every topic and its dead letters, to be created at start."""
    return (*TOPICS, *(dlq_spec(spec.name) for spec in TOPICS))
