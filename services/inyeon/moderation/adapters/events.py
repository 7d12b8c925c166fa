"""Records that moderation publishes: protobuf values with the envelope headers of
ARCHITECTURE.md."""

from __future__ import annotations

import uuid
from datetime import datetime

from inyeon.moderation.adapters.wire import VERDICTS, timestamp
from inyeon.moderation.app.ports import Raised, StoredVerdict
from inyeon.moderation.domain.policy import Policy
from inyeon.runtime.log import topics
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import NewRecord
from inyeon_protos.common.v1 import vector_pb2
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
        escalation_id=uuid.uuid4().hex,
        user_id=user_id,
        session_id=session_id,
        raised_at=timestamp(raised.raised_at),
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
        space = vector_pb2.EmbeddingSpace(
            model=embedding.model,
            version=embedding.version,
            dims=64,
            encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
        )
        event.embedding.CopyFrom(vector_pb2.Vector(space=space, data=embedding.data))
    return new_event(topics.ESCALATIONS, session_id, event, occurred_at=raised.raised_at)


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
