"""Trace ids (W3C Trace Context) from metadata to logs, onward calls and records.

The ids live in OpenTelemetry's context, so that the log's envelope and any later exporter find
them; no span is recorded or sent here.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextvars import Token
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_IDS = RandomIdGenerator()


def begin_span(carrier: Mapping[str, str]) -> Token[Context]:
    """Makes this task part of the caller's trace, or of a new one where `traceparent` is absent or
    malformed. The token goes to `end_span`.
    """
    parent = trace.get_current_span(_PROPAGATOR.extract(carrier, Context())).get_span_context()
    span = SpanContext(
        trace_id=parent.trace_id if parent.is_valid else _IDS.generate_trace_id(),
        span_id=_IDS.generate_span_id(),
        is_remote=False,
        trace_flags=parent.trace_flags if parent.is_valid else TraceFlags(TraceFlags.SAMPLED),
    )
    return otel_context.attach(trace.set_span_in_context(NonRecordingSpan(span)))


def end_span(token: Token[Context]) -> None:
    """Leaves the span that `begin_span` entered."""
    otel_context.detach(token)


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """`traceparent` for the metadata of an onward call; empty outside a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return tuple(carrier.items())


def add_trace_ids(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: puts the ids of the trace that runs now into each line."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event
