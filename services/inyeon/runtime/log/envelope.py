"""The envelope: headers around a protobuf value, written and checked in one place.

`type` is the full name of the message, `schema_version` a whole number that rises when old readers
would misread the value, `version` the per-key version of a state, `event_id` and `occurred_at` are
added by the outbox where they are missing.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import NewRecord, Record

EVENT_ID_CHARACTERS = 255  # ours are UUIDs of 36

M = TypeVar("M", bound=Message)


def new_event(
    topic: str,
    key: str,
    message: Message,
    *,
    occurred_at: datetime,
    version: int | None = None,
    schema_version: int = 1,
    partition_key: str | None = None,
) -> NewRecord:
    """A record with its envelope; carries the trace of the caller where there is one."""
    headers = _headers(message.DESCRIPTOR.full_name, occurred_at, version, schema_version)
    return NewRecord(topic, key, message.SerializeToString(), headers, partition_key)


def tombstone(
    topic: str, key: str, kind: type[Message], *, occurred_at: datetime, version: int
) -> NewRecord:
    """A record that says: this key has no state any more. Compacted topics only."""
    headers = _headers(kind.DESCRIPTOR.full_name, occurred_at, version, 1)
    return NewRecord(topic, key, None, headers)


def is_type(record: Record, kind: type[Message]) -> bool:
    """The record says that it carries this message; for topics with several."""
    return record.headers.get("type") == kind.DESCRIPTOR.full_name


def decode(record: Record, kind: type[M], newest_schema: int = 1) -> M:
    """The message in a record. Raises PoisonRecord: TYPE_UNKNOWN, SCHEMA_UNKNOWN, VALUE_MISSING,
    VALUE_UNDECODABLE."""
    if not is_type(record, kind):
        wanted, found = kind.DESCRIPTOR.full_name, record.headers.get("type")
        raise PoisonRecord("TYPE_UNKNOWN", f"wanted {wanted}, found {found!r}")
    schema = record.headers.get("schema_version", "")
    if not (schema.isascii() and schema.isdigit() and 1 <= int(schema) <= newest_schema):
        raise PoisonRecord("SCHEMA_UNKNOWN", f"schema_version {schema!r}, newest {newest_schema}")
    if record.value is None:
        raise PoisonRecord("VALUE_MISSING", "a tombstone carries no message")
    message = kind()
    try:
        message.ParseFromString(record.value)
    except DecodeError as error:
        raise PoisonRecord("VALUE_UNDECODABLE", str(error)) from error
    return message


def version_of(record: Record) -> int:
    """Version of the state in a record, at least 1. Raises PoisonRecord (VERSION_MISSING)."""
    found = record.headers.get("version", "")
    if not (found.isascii() and found.isdigit() and 1 <= int(found) < 2**63):
        raise PoisonRecord("VERSION_MISSING", f"header version is {found!r}")
    return int(found)


def event_id_of(record: Record) -> str:
    """Id of an event. Raises PoisonRecord (EVENT_ID_MISSING, EVENT_ID_UNUSABLE)."""
    found = record.headers.get("event_id", "")
    if not found:
        raise PoisonRecord("EVENT_ID_MISSING", "header event_id is empty or missing")
    if not (found.isascii() and found.isprintable() and len(found) <= EVENT_ID_CHARACTERS):
        raise PoisonRecord("EVENT_ID_UNUSABLE", f"header event_id is {found[:100]!r}")
    return found


def _headers(
    type_name: str, occurred_at: datetime, version: int | None, schema_version: int
) -> dict[str, str]:
    headers = {
        "event_id": str(uuid.uuid4()),
        "type": type_name,
        "schema_version": str(schema_version),
        "occurred_at": occurred_at.isoformat(),
    }
    if version is not None:
        headers["version"] = str(version)
    TraceContextTextMapPropagator().inject(headers)
    return headers
