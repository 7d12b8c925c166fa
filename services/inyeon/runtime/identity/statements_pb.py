"""Signed statements as protobuf messages: for adapters only, the domain sees plain facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from inyeon.runtime.errors import StatementRefused
from inyeon.runtime.identity.statements import StatementSigner, StatementVerifier
from inyeon_protos.common.v1.identity_pb2 import SignedStatement

EXPIRY_SKEW = timedelta(seconds=2)
"""Signer and verifier are servers with disciplined clocks; 2 s is 7 % of the 30 s of a pass."""

Fact = TypeVar("Fact", bound=Message)


def seal(signer: StatementSigner, message: Message) -> SignedStatement:
    """Signs a SafetyPass or a MatchGrant. The bytes that were signed travel as they are, because
    protobuf promises no canonical form.
    """
    payload = message.SerializeToString(deterministic=True)
    return SignedStatement(
        key_id=signer.key_id,
        payload=payload,
        signature=signer.sign(message.DESCRIPTOR.full_name, payload),
    )


def unseal(
    verifier: StatementVerifier, statement: SignedStatement, kind: type[Fact], now: datetime
) -> Fact:
    """The signed fact of this kind, at the aware UTC time `now`.

    Raises StatementRefused: UNKNOWN_KEY, BAD_SIGNATURE, MALFORMED (no such message, or no
    `expires_at`), EXPIRED (more than EXPIRY_SKEW ago).
    """
    verifier.verify(
        statement.key_id, kind.DESCRIPTOR.full_name, statement.payload, statement.signature
    )
    fact = _parse(statement.payload, kind)
    if _expires_at(fact) + EXPIRY_SKEW < now:
        raise StatementRefused(f"this {kind.DESCRIPTOR.name} has expired", reason="EXPIRED")
    return fact


def _parse(payload: bytes, kind: type[Fact]) -> Fact:
    try:
        return kind.FromString(payload)
    except DecodeError:
        raise _malformed(kind) from None


def _expires_at(fact: Message) -> datetime:
    field = fact.DESCRIPTOR.fields_by_name.get("expires_at")
    if field is None or not fact.HasField("expires_at"):
        raise _malformed(type(fact))
    moment: Timestamp = getattr(fact, "expires_at")  # noqa: B009 - a field every statement has
    try:
        return moment.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _malformed(type(fact)) from None


def _malformed(kind: type[Message]) -> StatementRefused:
    message = f"the payload is not a {kind.DESCRIPTOR.name}"
    return StatementRefused(message, reason="MALFORMED")
