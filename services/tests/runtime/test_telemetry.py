"""Metric names in code and in docs/telemetry.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import CollectorRegistry

from inyeon.runtime.store.outbox import RelayMetrics
from inyeon.runtime.telemetry import MetricName, RpcMetrics, gauge

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "telemetry.yaml"
PEOPLE = {"user", "user_id", "subject", "session", "session_id", "match", "match_id"}


def documented() -> dict[str, dict[str, Any]]:
    metrics = yaml.safe_load(DOCUMENT.read_text())["metrics"]
    return {metric["name"]: metric for metric in metrics}


def test_every_metric_of_the_ground_is_documented() -> None:
    missing = set(get_args(MetricName)) - set(documented())
    assert not missing


def test_the_documents_types_are_true() -> None:
    registry = CollectorRegistry()
    RpcMetrics(registry)
    RelayMetrics(registry)
    gauge(registry, "inyeon_service_ready", "Ready", ("service",))
    found = {family.name: family.type for family in registry.collect()}
    listed = {n: m["type"] for n, m in documented().items() if n in get_args(MetricName)}
    assert found == listed


def test_each_entry_is_whole_and_names_no_person() -> None:
    for metric in documented().values():
        assert metric["meaning"] and metric["owner"]
        assert not PEOPLE & set(metric["labels"])
