"""Trace ids from metadata to logs and onward."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.telemetry import configure_logging
from inyeon.runtime.tracing import begin_span, end_span, outgoing_metadata
from inyeon_protos.common.v1.peer_pb2 import LocateRequest

pytestmark = pytest.mark.unit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_callers_trace_goes_on_under_a_new_span() -> None:
    token = begin_span({"traceparent": PARENT})
    try:
        (name, value), *_ = outgoing_metadata()
        assert name == "traceparent"
        version, trace_id, span_id, flags = value.split("-")
        assert (version, trace_id, flags) == ("00", TRACE, "01")
        assert span_id != "00f067aa0ba902b7"
    finally:
        end_span(token)
    assert outgoing_metadata() == ()


@pytest.mark.parametrize("header", ["", "00-zz-11-01", f"00-{'0' * 32}-{'1' * 16}-01"])
def test_nonsense_starts_a_trace_of_its_own(header: str) -> None:
    token = begin_span({"traceparent": header})
    try:
        trace_id = dict(outgoing_metadata())["traceparent"].split("-")[1]
        assert int(trace_id, 16) != 0
    finally:
        end_span(token)


def test_records_carry_the_trace() -> None:
    token = begin_span({"traceparent": PARENT})
    try:
        now = ManualClock().now()
        event = new_event("t", "k", LocateRequest(user_id="u"), occurred_at=now)
    finally:
        end_span(token)
    assert event.headers["traceparent"].split("-")[1] == TRACE


def test_lines_are_json_and_carry_the_trace() -> None:
    out = io.StringIO()
    configure_logging("INFO", readable=False, to=out)
    token = begin_span({"traceparent": PARENT})
    try:
        structlog.get_logger("mine").info("something.happened", count=3)
        logging.getLogger("theirs").warning("old %s", "style")
    finally:
        end_span(token)
    structlog.get_logger("mine").debug("too quiet")
    try:
        raise RuntimeError("inside")
    except RuntimeError:
        structlog.get_logger("mine").exception("broke")
    mine, theirs, broke = map(json.loads, out.getvalue().splitlines())
    assert (mine["event"], mine["count"], mine["trace_id"]) == ("something.happened", 3, TRACE)
    assert (theirs["event"], theirs["level"]) == ("old style", "warning")
    assert theirs["span_id"] == mine["span_id"]
    assert "RuntimeError: inside" in broke["exception"]


def test_people_get_text() -> None:
    out = io.StringIO()
    configure_logging("info", readable=True, to=out)
    structlog.get_logger("mine").info("something.happened", count=3)
    assert "something.happened" in out.getvalue()
    assert "\x1b" not in out.getvalue(), "no colours where nobody looks"
