"""Between domain types and protobuf. An unknown enum or a number out of its meaning is refused,
naming the field."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from inyeon.moderation.domain.cases import Decision
from inyeon.moderation.domain.directive import Action, Directive
from inyeon.moderation.domain.observation import Embedding, Presence, Scores, Subject, Window
from inyeon.moderation.domain.opinions import Source
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import WindowRefused
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.moderation.v1 import review_pb2, safety_pb2

_FLOAT = struct.Struct("<f")
LONGEST_S = 60.0
DIMS = 64
EMBEDDING_BYTES = 68  # float32 scale and 64 signed bytes

SUBJECTS = {
    safety_pb2.OBSERVED_SUBJECT_MYSELF: Subject.MYSELF,
    safety_pb2.OBSERVED_SUBJECT_PARTNER: Subject.PARTNER,
}
SUBJECT_CODES = {subject: code for code, subject in SUBJECTS.items()}
PRESENCES = {
    safety_pb2.PRESENCE_STATE_UNSPECIFIED: Presence.UNKNOWN,
    safety_pb2.PRESENCE_STATE_ALONE: Presence.ALONE,
    safety_pb2.PRESENCE_STATE_SEVERAL: Presence.SEVERAL,
    safety_pb2.PRESENCE_STATE_AWAY: Presence.AWAY,
    safety_pb2.PRESENCE_STATE_NO_PICTURE: Presence.NO_PICTURE,
}
PRESENCE_CODES = {presence: code for code, presence in PRESENCES.items()}
VERDICTS = {
    Verdict.UNKNOWN: safety_pb2.VERDICT_UNSPECIFIED,
    Verdict.CLEAR: safety_pb2.VERDICT_CLEAR,
    Verdict.UNSURE: safety_pb2.VERDICT_UNSURE,
    Verdict.PROTECT: safety_pb2.VERDICT_PROTECT,
}
VERDICT_CODES = {code: verdict for verdict, code in VERDICTS.items()}
SOURCES = {
    Source.EMBEDDING: events_pb2.OPINION_SOURCE_EMBEDDING,
    Source.IMAGE: events_pb2.OPINION_SOURCE_IMAGE,
    Source.TEXT: events_pb2.OPINION_SOURCE_TEXT,
    Source.REVIEWER: events_pb2.OPINION_SOURCE_REVIEWER,
}
SOURCE_CODES = {code: source for source, code in SOURCES.items()}
ACTIONS = {
    Action.PROTECT: safety_pb2.DIRECTIVE_ACTION_PROTECT,
    Action.CLEAR: safety_pb2.DIRECTIVE_ACTION_CLEAR,
    Action.WARN: safety_pb2.DIRECTIVE_ACTION_WARN,
    Action.END: safety_pb2.DIRECTIVE_ACTION_END,
    Action.SEND_EVIDENCE: safety_pb2.DIRECTIVE_ACTION_SEND_EVIDENCE,
}
ACTION_CODES = {code: action for action, code in ACTIONS.items()}
DECISIONS = {
    review_pb2.DECISION_DISMISS: Decision.DISMISS,
    review_pb2.DECISION_CONFIRM: Decision.CONFIRM,
}
DECISION_CODES = {decision: code for code, decision in DECISIONS.items()}


def timestamp(at: datetime) -> Timestamp:
    """Protobuf time of an aware datetime."""
    made = Timestamp()
    made.FromDatetime(at.astimezone(UTC))
    return made


def window_from(sequence: int, message: safety_pb2.ObservationWindow) -> Window:
    """A checked window. Field rules of the contract were enforced before; this adds what they
    cannot say.

    Raises WindowRefused: unknown subject or presence, a length of 0 s or above 60 s, PARTNER
    without match, scores or an embedding that are not what the contract says.
    """
    subject = SUBJECTS.get(message.subject)
    if subject is None:
        raise _refused("subject", "ENUM_UNKNOWN", f"{message.subject} is no known subject")
    presence = PRESENCES.get(message.presence)
    if presence is None:
        raise _refused("presence", "ENUM_UNKNOWN", f"{message.presence} is no known presence")
    if subject is Subject.PARTNER and not message.match_id:
        raise _refused("match_id", "MATCH_MISSING", "a window about the partner names the match")
    duration_s = message.duration.seconds + message.duration.nanos / 1e9
    if not 0.0 < duration_s <= LONGEST_S:
        raise _refused("duration", "DURATION_RANGE", f"{duration_s} s is not in (0, {LONGEST_S}]")
    return Window(
        sequence,
        subject,
        duration_s,
        presence,
        _scores(message.scores) if message.HasField("scores") else None,
        message.covered,
        message.match_id,
        _embedding(message.embedding) if message.HasField("embedding") else None,
    )


def window_to(window: Window) -> safety_pb2.ObservationWindow:
    """What another replica needs of a partner's window; reading it back gives the same."""
    message = safety_pb2.ObservationWindow(
        subject=SUBJECT_CODES[window.subject],
        match_id=window.match_id,
        presence=PRESENCE_CODES[window.presence],
        covered=window.covered,
    )
    message.duration.FromNanoseconds(round(window.duration_s * 1e9))
    if window.scores is not None:
        scores = window.scores
        message.scores.model, message.scores.version = scores.model, scores.version
        message.scores.frames = scores.frames
        message.scores.mean.extend(scores.mean)
        message.scores.max.extend(scores.peak)
    if window.embedding is not None:
        message.embedding.CopyFrom(vector_to(window.embedding))
    return message


def vector_to(embedding: Embedding) -> vector_pb2.Vector:
    """An embedding as it travels."""
    space = vector_pb2.EmbeddingSpace(
        model=embedding.model,
        version=embedding.version,
        dims=embedding.dims,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    return vector_pb2.Vector(space=space, data=embedding.data)


def datetime_from(at: Timestamp) -> datetime:
    """Aware UTC time of a protobuf time. Raises ValueError for one that no calendar has."""
    try:
        return at.ToDatetime(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def directive_to(directive: Directive) -> safety_pb2.Directive:
    """A directive as it travels."""
    return safety_pb2.Directive(
        directive_id=directive.directive_id,
        action=ACTIONS[directive.action],
        subject=SUBJECT_CODES[directive.subject],
        reason=directive.reason,
        match_id=directive.match_id,
        policy_version=directive.policy_version,
    )


def directive_from(message: safety_pb2.Directive) -> Directive:
    """The directive again. Raises KeyError for codes of a newer replica."""
    return Directive(
        message.directive_id,
        ACTION_CODES[message.action],
        SUBJECTS[message.subject],
        message.reason,
        message.match_id,
        message.policy_version,
    )


def _scores(message: safety_pb2.FilterScores) -> Scores:
    mean, peak = tuple(message.mean), tuple(message.max)
    for name, values in (("mean", mean), ("max", peak)):
        if len(values) != 5:
            why = f"{len(values)} scores, not 5"
            raise _refused(f"scores.{name}", "SCORES_LENGTH", why)
        if not all(0.0 <= value <= 1.0 for value in values):  # refuses NaN too
            raise _refused(f"scores.{name}", "SCORES_RANGE", "scores are numbers in [0, 1]")
    if message.frames < 1:
        raise _refused("scores.frames", "SCORES_FRAMES", "at least one frame is scored")
    return Scores(message.model, message.version, message.frames, mean, peak)


def _embedding(message: vector_pb2.Vector) -> Embedding:
    space, data = message.space, message.data
    if space.encoding != vector_pb2.VECTOR_ENCODING_INT8_SCALED or space.dims != DIMS:
        why = f"content embeddings have {DIMS} dimensions, INT8_SCALED"
        raise _refused("embedding.space", "EMBEDDING_SPACE", why)
    if len(data) != EMBEDDING_BYTES:
        why = f"{len(data)} bytes, not {EMBEDDING_BYTES}"
        raise _refused("embedding.data", "EMBEDDING_LENGTH", why)
    if not math.isfinite(_scale(data)):
        raise _refused("embedding.data", "EMBEDDING_SCALE", "the scale is not a finite number")
    return Embedding(space.model, space.version, data)


def _scale(data: bytes) -> float:
    (scale,) = _FLOAT.unpack_from(data)
    return float(scale)


def _refused(field: str, reason: str, why: str) -> WindowRefused:
    return WindowRefused(f"window.{field}: {why}", reason=reason, field=f"window.{field}")
