"""Spans of consumers: each links to the span that created the record (header `traceparent`).

A link and not a parent, because a record may be processed days later, several times, and together
with others (OpenTelemetry's conventions for messaging say the same). Where nobody records spans,
the record's own trace goes on instead, so that log lines of both sides have one id. In both cases
what a handler emits carries the trace that runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from inyeon.runtime.log.port import Record
from inyeon.runtime.tracing import begin_span, end_span

TRACER = "inyeon.log"
LINKS = 128  # the limit that OpenTelemetry's SDK sets by default

_PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes the spans of one group."""

    def __init__(self, group: str, tracer: Tracer | None = None) -> None:
        """`tracer` None: that of the process, see `telemetry.configure_tracing`."""
        self._group = group
        self._tracer = tracer or trace.get_tracer(TRACER)

    @contextmanager
    def of(self, record: Record) -> Iterator[None]:
        """Around the handler of one record."""
        place: dict[str, str | int] = {
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
        }
        with self._span([record], place):
            yield

    @contextmanager
    def of_batch(self, records: Sequence[Record]) -> Iterator[None]:
        """Around a handler of batches; links to the first 128 records."""
        with self._span(records, {"messaging.batch.message_count": len(records)}):
            yield

    @contextmanager
    def _span(self, records: Sequence[Record], attributes: dict[str, str | int]) -> Iterator[None]:
        first = records[0]
        span = self._tracer.start_span(
            f"process {first.topic}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes
            | {
                "messaging.operation.type": "process",
                "messaging.consumer.group.name": self._group,
                "messaging.destination.name": first.topic,
            },
            links=_links(records[:LINKS]),
        )
        if isinstance(span, NonRecordingSpan) and not span.get_span_context().is_valid:
            token = begin_span(first.headers)
            try:
                yield
            finally:
                end_span(token)
            return
        with trace.use_span(span, end_on_exit=True):
            yield


def _links(records: Sequence[Record]) -> list[Link]:
    found = []
    for record in records:
        if "traceparent" in record.headers:
            parent = _PROPAGATOR.extract(record.headers, Context())
            context = trace.get_current_span(parent).get_span_context()
            if context.is_valid:
                found.append(Link(context))
    return found
