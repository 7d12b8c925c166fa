"""Records that moderation publishes: protobuf values with the envelope headers of
ARCHITECTURE.md."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from inyeon.moderation.adapters.wire import SOURCES, VERDICTS, timestamp, vector_to
from inyeon.moderation.app.ports import Banked, Raised, StoredVerdict
from inyeon.moderation.domain.opinions import Opinion
from inyeon.moderation.domain.policy import Policy
from inyeon.runtime.log import topics
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.log.records import partition_of
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.moderation.v1 import safety_pb2


def verdict_recorded(user_id: str, session_id: str, now: StoredVerdict) -> NewRecord:
    """moderation.verdicts, key user."""
    event = events_pb2.VerdictRecorded(
        user_id=user_id,
        session_id=session_id,
        verdict=VERDICTS[now.verdict],
        reason=now.reason,
        policy_version=now.policy_version,
        changed_at=timestamp(now.changed_at),
        version=now.version,
    )
    return new_event(
        topics.VERDICTS, user_id, event, occurred_at=now.changed_at, version=now.version
    )


def escalation_raised(user_id: str, session_id: str, raised: Raised) -> NewRecord:
    """moderation.escalations, key session."""
    event = events_pb2.EscalationRaised(
        escalation_id=raised.escalation_id,
        user_id=user_id,
        session_id=session_id,
        raised_at=timestamp(raised.raised_at),
        match_id=raised.match_id,
        reason=raised.escalation.reason,
        policy_version=raised.policy_version,
    )
    scores, embedding = raised.window.scores, raised.window.embedding
    if scores is not None:
        event.scores.CopyFrom(
            safety_pb2.FilterScores(
                model=scores.model,
                version=scores.version,
                frames=scores.frames,
                mean=scores.mean,
                max=scores.peak,
            )
        )
    if embedding is not None:
        event.embedding.CopyFrom(vector_to(embedding))
    return new_event(topics.ESCALATIONS, session_id, event, occurred_at=raised.raised_at)


def opinion_given(opinion: Opinion) -> NewRecord:
    """moderation.opinions, key session."""
    judged = opinion.judged
    event = events_pb2.OpinionGiven(
        opinion_id=opinion.opinion_id,
        escalation_id=opinion.escalation_id,
        user_id=opinion.user_id,
        session_id=opinion.session_id,
        source=SOURCES[opinion.source],
        verdict=VERDICTS[judged.verdict],
        reason=judged.reason,
        confidence=judged.confidence,
        models=judged.models,
        degraded=judged.degraded,
        given_at=timestamp(opinion.given_at),
        raised_at=timestamp(opinion.raised_at),
    )
    return new_event(topics.OPINIONS, opinion.session_id, event, occurred_at=opinion.given_at)


def bank_entry_recorded(entry: Banked, version: int) -> NewRecord:
    """moderation.bank-entries, key entry."""
    event = events_pb2.BankEntryRecorded(
        entry_id=entry.entry_id,
        bank=entry.bank,
        embedding=vector_to(entry.embedding),
        case_id=entry.case_id,
        enabled=entry.enabled,
        recorded_at=timestamp(entry.recorded_at),
        version=version,
    )
    return new_event(
        topics.BANK_ENTRIES, entry.entry_id, event, occurred_at=entry.recorded_at, version=version
    )


def watermark(partition: int, committed_at: datetime, version: int) -> NewRecord:
    """moderation.verdicts, key watermark/<partition>, in that partition."""
    event = events_pb2.OutboxWatermark(
        partition=partition, committed_at=timestamp(committed_at), version=version
    )
    return new_event(
        topics.VERDICTS,
        f"watermark/{partition}",
        event,
        occurred_at=committed_at,
        version=version,
        partition_key=_key_into(partition),
    )


def verdict_partitions() -> int:
    """Partitions of moderation.verdicts."""
    return next(spec.partitions for spec in topics.TOPICS if spec.name == topics.VERDICTS)


@cache
def _key_into(partition: int) -> str:
    """A partition key that leads into this partition of moderation.verdicts."""
    partitions = verdict_partitions()
    keys = (f"watermark-{number}" for number in range(10_000))
    return next(key for key in keys if partition_of(key, partitions) == partition)


def edge_recorded(user_id: str, other_id: str, kind: str, at: datetime, version: int) -> NewRecord:
    """social.edges, key user and other, partition by user."""
    event = events_pb2.EdgeRecorded(
        user_id=user_id,
        other_id=other_id,
        kind=kind,
        recorded_at=timestamp(at),
        version=version,
    )
    return new_event(
        topics.EDGES,
        f"{user_id}/{other_id}",
        event,
        occurred_at=at,
        version=version,
        partition_key=user_id,
    )


def policy_published(policy: Policy, document: bytes, at: datetime, version: int) -> NewRecord:
    """policies.published, key policy."""
    event = events_pb2.PolicyPublished(
        name=policy.name, version=policy.version, document=document, published_at=timestamp(at)
    )
    return new_event(topics.POLICIES, policy.name, event, occurred_at=at, version=version)
