"""Verbs between replicas of matching: as messages, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from inyeon.matching.api.callers import Caller, Closed, Opened, Said, Verb
from inyeon.runtime.errors import (
    InvalidRequest,
    InyeonError,
    NotAllowed,
    Overloaded,
    PreconditionFailed,
    Unavailable,
)
from inyeon.runtime.identity.claims import AgeBand, Claims, Gender
from inyeon_protos.common.v1 import identity_pb2
from inyeon_protos.matching.v1 import forwarding_pb2 as pb

Spoken = tuple[Caller, Verb]

NO_END = datetime.max.replace(tzinfo=UTC)
"""The holder of the stream ends it with its token; the owner of the pool need not look."""
_AGE_BANDS = (AgeBand.UNKNOWN, AgeBand.MINOR, AgeBand.ADULT)  # numbers of the contract
_GENDERS = (Gender.UNKNOWN, Gender.FEMALE, Gender.MALE, Gender.OTHER)
_REFUSALS: tuple[type[InyeonError], ...] = (
    InvalidRequest,
    NotAllowed,
    Overloaded,
    PreconditionFailed,
)


def request_to(pool: str, spoken: Sequence[Spoken]) -> bytes:
    """Verbs for the owner of the pool."""
    verbs = [_forwarded(caller, verb) for caller, verb in spoken]
    return pb.ForwardRequest(pool=pool, verbs=verbs).SerializeToString()


def request_from(payload: bytes) -> tuple[str, list[Spoken]]:
    """The pool and its verbs. Raises InvalidRequest."""
    try:
        request = pb.ForwardRequest.FromString(payload)
    except DecodeError as error:
        raise InvalidRequest(f"no ForwardRequest: {error}", field="payload") from error
    return request.pool, [(_caller(one), _verb(one)) for one in request.verbs]


def answer_to(refusal: InyeonError | None) -> pb.ForwardAnswer:
    """What became of a verb."""
    if refusal is None:
        return pb.ForwardAnswer()
    return pb.ForwardAnswer(
        code=refusal.code.value[0],
        reason=refusal.reason,
        field=refusal.field,
        message=str(refusal),
        retry_after_s=refusal.retry_after_s if isinstance(refusal, Overloaded) else 0.0,
    )


def refusal_of(answer: pb.ForwardAnswer) -> InyeonError | None:
    """The error that the owner raised, None where the verb was done."""
    if answer.code == 0:
        return None
    if answer.code == Overloaded.code.value[0]:
        after_s = answer.retry_after_s
        return Overloaded(answer.message, retry_after_s=after_s, reason=answer.reason)
    for kind in _REFUSALS:
        if kind.code.value[0] == answer.code:
            return kind(answer.message, reason=answer.reason, field=answer.field)
    return Unavailable(answer.message, reason=answer.reason, field=answer.field)


def _forwarded(caller: Caller, verb: Verb) -> pb.Forwarded:
    claims = caller.claims
    message = pb.Forwarded(
        user_id=claims.subject,
        session_id=caller.session_id,
        epoch=caller.epoch,
        age_band=identity_pb2.AgeBand.ValueType(_AGE_BANDS.index(claims.age_band)),
        country=claims.country,
        gender=identity_pb2.Gender.ValueType(_GENDERS.index(claims.gender)),
        device_key=claims.device_key,
    )
    match verb:
        case Opened():
            message.appeared.SetInParent()
        case Said(said):
            message.said.CopyFrom(said)
        case Closed(for_good):
            message.left.for_good = for_good
    return message


def _caller(message: pb.Forwarded) -> Caller:
    claims = Claims(
        subject=message.user_id,
        audience="",
        expires_at=NO_END,
        age_band=dict(enumerate(_AGE_BANDS)).get(message.age_band, AgeBand.UNKNOWN),
        country=message.country,
        gender=dict(enumerate(_GENDERS)).get(message.gender, Gender.UNKNOWN),
        device_key=message.device_key,
    )
    return Caller(message.session_id, message.epoch, claims)


def _verb(message: pb.Forwarded) -> Verb:
    match message.WhichOneof("kind"):
        case "appeared":
            return Opened()
        case "said":
            return Said(message.said)
        case "left":
            return Closed(message.left.for_good)
        case _:
            raise InvalidRequest("a caller says something", field="verbs.kind")
