"""Headers around a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import TracerProvider

from inyeon.runtime.log.envelope import (
    decode,
    event_id_of,
    is_type,
    new_event,
    tombstone,
    version_of,
)
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import NewRecord, Record
from inyeon_protos.events.v1 import events_pb2 as pb

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _read(new: NewRecord, **headers: str) -> Record:
    return Record(new.topic, 0, 0, new.key, new.value, {**new.headers, **headers}, NOW)


def _event() -> NewRecord:
    message = pb.TicketEnded(ticket_id="t1", user_id="u1")
    return new_event("t", "t1", message, occurred_at=NOW, version=3, partition_key="pool")


def test_a_message_comes_back_as_it_was() -> None:
    event = _event()
    record = _read(event)
    assert decode(record, pb.TicketEnded) == pb.TicketEnded(ticket_id="t1", user_id="u1")
    assert (event.key, event.partition_key) == ("t1", "pool")
    assert is_type(record, pb.TicketEnded)
    assert not is_type(record, pb.MatchLive)
    assert version_of(record) == 3
    assert event_id_of(record) == event.headers["event_id"]
    assert event.headers["occurred_at"] == "2026-01-01T00:00:00+00:00"


def test_two_events_have_two_ids() -> None:
    assert _event().headers["event_id"] != _event().headers["event_id"]


def test_carries_the_trace_of_the_caller() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("caller") as span:
        traceparent = _event().headers["traceparent"]
    assert f"{span.get_span_context().trace_id:032x}" in traceparent
    assert "traceparent" not in _event().headers


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"type": "inyeon.events.v1.MatchLive"}, "TYPE_UNKNOWN"),
        ({"type": ""}, "TYPE_UNKNOWN"),
        ({"schema_version": "2"}, "SCHEMA_UNKNOWN"),
        ({"schema_version": "0"}, "SCHEMA_UNKNOWN"),
        ({"schema_version": "one"}, "SCHEMA_UNKNOWN"),
        ({"schema_version": "²"}, "SCHEMA_UNKNOWN"),
    ],
)
def test_a_wrong_envelope_is_poison(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(PoisonRecord) as poison:
        decode(_read(_event(), **headers), pb.TicketEnded)
    assert poison.value.reason == reason


def test_a_wrong_value_is_poison() -> None:
    with pytest.raises(PoisonRecord) as poison:
        decode(replace(_read(_event()), value=b"\xff\xff"), pb.TicketEnded)
    assert poison.value.reason == "VALUE_UNDECODABLE"
    gone = _read(tombstone("t", "k", pb.TicketEnded, occurred_at=NOW, version=9))
    assert (gone.value, version_of(gone)) == (None, 9)
    with pytest.raises(PoisonRecord) as poison:
        decode(gone, pb.TicketEnded)
    assert poison.value.reason == "VALUE_MISSING"


@pytest.mark.parametrize("version", ["", "0", "-1", "1.5", "x", "9" * 30])
def test_a_wrong_version_is_poison(version: str) -> None:
    with pytest.raises(PoisonRecord, match="VERSION_MISSING"):
        version_of(_read(_event(), version=version))


def test_a_missing_event_id_is_poison() -> None:
    with pytest.raises(PoisonRecord, match="EVENT_ID_MISSING"):
        event_id_of(_read(_event(), event_id=""))
