"""Logs, metrics and spans. Every metric of the project is named once, in `MetricName`.

`docs/telemetry.yaml` says of each what it means, its labels and who looks after it; a test compares
both. No label ever names a person, a session or a match.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Literal, TextIO

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import Processor

from inyeon.runtime.tracing import add_trace_ids

MetricName = Literal[
    # One for each finished RPC, by its code.
    "inyeon_rpc_handled",
    # How long unary calls took.
    "inyeon_rpc_seconds",
    # Exceptions that nobody raised on purpose. Above 0: a defect.
    "inyeon_rpc_unexpected_errors",
    # Live streams now.
    "inyeon_streams_open",
    # Ready services now: 0 or 1 each.
    "inyeon_service_ready",
    # Of the store's relays.
    "inyeon_outbox_depth",
    "inyeon_outbox_age_seconds",
    "inyeon_outbox_published",
    "inyeon_outbox_failures",
    # Of the log on Kafka: records not taken yet, by group and topic.
    "inyeon_log_lag",
    # Changes of a member's partitions, by group.
    "inyeon_log_rebalances",
    # Time in which nothing was fetched because the application was slower, by group.
    "inyeon_log_paused_seconds",
    # Clients made anew because the old one was stuck or broken, by group.
    "inyeon_log_clients_replaced",
    # Records acknowledged, by topic; batches that were not, by reason.
    "inyeon_log_published",
    "inyeon_log_publish_failures",
    # Records that consumers have done, by group, topic and fate (applied, seen, refused, poison).
    "inyeon_consumer_records",
    # What consumers tried again, by group.
    "inyeon_consumer_retries",
    # Dead letters written, by group, topic and reason.
    "inyeon_consumer_dead_letters",
    # How long batches took from the log to the commit, by group.
    "inyeon_consumer_batch_seconds",
    # Age of events when their effect is committed, by group and topic.
    "inyeon_consumer_age_seconds",
    # How long a pass of matching took to decide, by pool.
    "inyeon_matching_pass_seconds",
    # How long people waited who were matched, pauses not counted, by pool.
    "inyeon_matching_wait_seconds",
    # People in the last pass, by pool.
    "inyeon_matching_took_part",
    # People waiting (paused included), paused, and in live matches, by pool and state.
    "inyeon_matching_people",
    # Pairs by pool and fate: committed, or left out by the commit's second look.
    "inyeon_matching_pairs",
    # Matches that ended, by reason.
    "inyeon_matching_matches_over",
    # Tickets that ended, by reason.
    "inyeon_matching_tickets_over",
    # Tickets that were paused, by gate.
    "inyeon_matching_pauses",
    # At most so much of the best total was missing in the last pass, 0 to 1, by pool.
    "inyeon_matching_gap",
    # People who had to wait for the next pass, by pool.
    "inyeon_matching_shed",
    # How long tickets waited that ended, by first language, declared gender, and how they ended.
    "inyeon_matching_group_wait_seconds",
    # Offers to widen a wish, at the starvation bound, by whether they had figures.
    "inyeon_matching_widening_offers",
    "inyeon_matching_pool_owner",
    # 1 for the mode in force for a pool (open, draining, paused, stopped), at its owner.
    "inyeon_matching_pool_mode",
    "inyeon_matching_verdict_age_seconds",
    # From the end of a match until waves may use what it said; and how old, when somebody is
    # paired, the first match is that their vector lacks.
    "inyeon_matching_session_lag_seconds",
    "inyeon_matching_session_staleness_seconds",
    # Talks that left the encoder's queue, by fate; questions that got no answer, by reason.
    "inyeon_matching_session_talks",
    "inyeon_matching_session_failures",
    # People with a vector, and talks that wait to be encoded.
    "inyeon_matching_session_vectors",
    "inyeon_matching_session_waiting",
    # Which version of the score counts, how much is explored, which arm it is, what is unreadable.
    "inyeon_matching_score",
    "inyeon_matching_explored_share",
    "inyeon_matching_arm",
    "inyeon_matching_score_trouble",
]

# From half a local call to ten times the default deadline; 1-2.5-5 so that quantiles are even.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def counter(
    registry: CollectorRegistry, name: MetricName, text: str, labels: tuple[str, ...] = ()
) -> Counter:
    """A counter; it shows as `<name>_total`."""
    return Counter(name, text, labels, registry=registry)


def gauge(
    registry: CollectorRegistry, name: MetricName, text: str, labels: tuple[str, ...] = ()
) -> Gauge:
    """A gauge."""
    return Gauge(name, text, labels, registry=registry)


def histogram(
    registry: CollectorRegistry, name: MetricName, text: str, labels: tuple[str, ...] = ()
) -> Histogram:
    """A histogram of seconds with LATENCY_BUCKETS_S."""
    return Histogram(name, text, labels, registry=registry, buckets=LATENCY_BUCKETS_S)


class RpcMetrics:
    """What the interceptor counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        code = ("method", "code")
        method = ("method",)
        self.handled = counter(registry, "inyeon_rpc_handled", "Finished calls", code)
        self.seconds = histogram(registry, "inyeon_rpc_seconds", "Unary calls", method)
        self.streams = gauge(registry, "inyeon_streams_open", "Live streams", method)
        self.unexpected = counter(registry, "inyeon_rpc_unexpected_errors", "Defects", method)


def configure_logging(level: str, *, readable: bool, to: TextIO | None = None) -> None:
    """Sends structlog and the standard library's logging to one place: JSON lines, or coloured text
    where `readable`. Called once, by the harness. Default stream: stderr.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace_ids,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(_formatter(shared, readable, colours=handler.stream.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # One line for each request or fetch says nothing that the metrics do not.
    for name in ("httpx", "httpcore", "uvicorn", "aiosqlite", "alembic", "kafka"):
        logging.getLogger(name).setLevel(logging.WARNING)


def span_processors(traces: str, to: TextIO | None = None) -> list[SpanProcessor]:
    """For the setting `traces`. Each span is one line of JSON; `to`: stderr unless told."""
    if traces == "off":
        return []
    exporter = ConsoleSpanExporter(
        out=to or sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n"
    )
    return [BatchSpanProcessor(exporter)]


def configure_tracing(replica: str, processors: Sequence[SpanProcessor]) -> TracerProvider | None:
    """Records spans of this process and hands them to the processors. None without any: then trace
    ids are only passed on, see `tracing`. Called at most once with some, before anything consumes;
    the caller shuts the provider down at the end.
    """
    if not processors:
        return None
    of_us = {"service.name": "inyeon", "service.instance.id": replica}
    provider = TracerProvider(resource=Resource.create(of_us))
    for processor in processors:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def _formatter(shared: list[Processor], readable: bool, colours: bool) -> logging.Formatter:
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if readable:
        plain = structlog.dev.plain_traceback
        last.append(structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain))
    else:
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
