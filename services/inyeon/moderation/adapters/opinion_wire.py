"""Escalations, opinions and bank entries from the log. What cannot be attributed to a person is
poison; what can is for a person, however bad the rest."""

from __future__ import annotations

from datetime import datetime

from inyeon.inference.port import BankEntry, SpaceId
from inyeon.moderation.adapters.wire import (
    SOURCE_CODES,
    VERDICT_CODES,
    datetime_from,
)
from inyeon.moderation.domain.embeddings import (
    MISSING,
    SPACE,
    EmbeddingRefused,
    unpacked,
)
from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.opinions import Escalated, Judged, Opinion
from inyeon.moderation.domain.verdict import Verdict
from inyeon.runtime.log.envelope import decode
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Record
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1 import events_pb2

ID_LIMIT = 64  # what every id of the contract has; the columns are as wide


def escalated_from(record: Record) -> Escalated:
    """An escalation. Raises PoisonRecord: not one, no or too long ids, a key that is not its
    session, a time that is none."""
    event = decode(record, events_pb2.EscalationRaised)
    _check_ids(event, "escalation_id", "user_id", "session_id")
    for field in ("match_id", "reason", "policy_version"):
        _check_length(event, field)
    if record.key != event.session_id:
        raise PoisonRecord("KEY_WRONG", "the key is not the session")
    embedding, refusal = _embedding(event)
    text = event.text if event.HasField("text") else None
    return Escalated(
        event.escalation_id,
        event.user_id,
        event.session_id,
        event.match_id,
        event.reason,
        event.policy_version,
        _time(event, "raised_at"),
        embedding,
        refusal,
        dict(zip(text.classes, text.scores, strict=False)) if text else None,
        f"{text.model}@{text.version}" if text else "",
    )


def opinion_from(record: Record) -> Opinion:
    """An opinion. Raises PoisonRecord: not one, no ids, a verdict or a source of nobody's."""
    event = decode(record, events_pb2.OpinionGiven)
    _check_ids(event, "opinion_id", "escalation_id", "user_id", "session_id")
    verdict, source = VERDICT_CODES.get(event.verdict), SOURCE_CODES.get(event.source)
    if verdict is None or verdict is Verdict.UNKNOWN or source is None:
        raise PoisonRecord("ENUM_UNKNOWN", f"verdict {event.verdict}, source {event.source}")
    if not 0.0 <= event.confidence <= 1.0:  # refuses NaN too
        raise PoisonRecord("CONFIDENCE_RANGE", str(event.confidence))
    judged = Judged(
        verdict, event.reason, event.confidence, tuple(event.models), degraded=event.degraded
    )
    return Opinion(
        event.opinion_id,
        event.escalation_id,
        event.user_id,
        event.session_id,
        source,
        judged,
        _time(event, "raised_at"),
        _time(event, "given_at"),
    )


def bank_entry_from(record: Record) -> BankEntry | None:
    """A bank entry as the models want it; None where it is disabled or gone. Raises PoisonRecord:
    not one, or its embedding is none."""
    if record.value is None:
        return None
    event = decode(record, events_pb2.BankEntryRecorded)
    if not event.enabled:
        return None
    space = event.embedding.space
    if space.encoding != vector_pb2.VECTOR_ENCODING_INT8_SCALED:
        raise PoisonRecord(SPACE, f"encoding {space.encoding}")
    try:
        vector = unpacked(event.embedding.data, space.dims)
    except EmbeddingRefused as refused:
        raise PoisonRecord(refused.reason) from refused
    return BankEntry(
        event.entry_id, event.bank, SpaceId(space.model, space.version, space.dims), vector
    )


def _embedding(event: events_pb2.EscalationRaised) -> tuple[Embedding | None, str]:
    if not event.HasField("embedding"):
        return None, MISSING
    space, data = event.embedding.space, event.embedding.data
    named = 0 < len(space.model) <= ID_LIMIT and 0 < len(space.version) <= ID_LIMIT
    if space.encoding != vector_pb2.VECTOR_ENCODING_INT8_SCALED or not named:
        return None, SPACE
    try:
        unpacked(data, space.dims)
    except EmbeddingRefused as refused:
        return None, refused.reason
    return Embedding(space.model, space.version, data), ""


Event = events_pb2.EscalationRaised | events_pb2.OpinionGiven


def _check_ids(event: Event, *fields: str) -> None:
    for field in fields:
        if not getattr(event, field):
            raise PoisonRecord("FIELD_MISSING", field)
        _check_length(event, field)


def _check_length(event: Event, field: str) -> None:
    if len(getattr(event, field)) > ID_LIMIT:
        raise PoisonRecord("FIELD_TOO_LONG", field)


def _time(event: Event, field: str) -> datetime:
    try:
        return datetime_from(getattr(event, field))
    except ValueError as error:
        raise PoisonRecord("TIME_RANGE", field) from error
