"""Metric names in code and in docs/telemetry.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import CollectorRegistry

from inyeon.inference.metrics import InferenceMetrics
from inyeon.matching.adapters import metrics as matching
from inyeon.matching.adapters.score_metrics import PrometheusScoreMeter
from inyeon.matching.adapters.session_metrics import PrometheusSessionMeter
from inyeon.moderation.adapters import metrics as moderation
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.store.outbox import RelayMetrics
from inyeon.runtime.telemetry import MetricName, RpcMetrics, gauge
from inyeon.translation.adapters import metrics as translation

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "telemetry.yaml"
PEOPLE = {"user", "user_id", "subject", "session", "session_id", "match", "match_id"}


def documented() -> dict[str, dict[str, Any]]:
    metrics = yaml.safe_load(DOCUMENT.read_text())["metrics"]
    return {metric["name"]: metric for metric in metrics}


def test_every_metric_of_the_ground_is_documented() -> None:
    missing = set(get_args(MetricName)) - set(documented())
    assert not missing


def test_the_document_lists_exactly_what_there_is() -> None:
    registry = CollectorRegistry()
    RpcMetrics(registry)
    RelayMetrics(registry)
    KafkaMetrics(registry)
    ConsumerMetrics(registry)
    gauge(registry, "inyeon_service_ready", "Ready", ("service",))
    matching.PrometheusMeter(registry, "main")
    PrometheusSessionMeter(registry)
    PrometheusScoreMeter(registry, "main")
    moderation.PrometheusMeter(registry)
    moderation.JudgingMetrics(registry)
    translation.PrometheusObserver(registry)
    InferenceMetrics(registry)
    found = {family.name: family.type for family in registry.collect()}
    assert found == {name: metric["type"] for name, metric in documented().items()}


def test_each_entry_is_whole_and_names_no_person() -> None:
    for metric in documented().values():
        assert metric["meaning"] and metric["owner"]
        assert not PEOPLE & set(metric["labels"])
