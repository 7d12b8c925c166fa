"""Alerts, runbooks and metrics belong together: none names what is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "alerts" / "inyeon.rules.yaml"
METRIC = re.compile(r"\binyeon_[a-z_]+\b")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exported() -> set[str]:
    """Every name that /metrics can show."""
    listed = yaml.safe_load((ROOT / "docs" / "telemetry.yaml").read_text())["metrics"]
    return {m["name"] + suffix for m in listed for suffix in SUFFIXES[m["type"]]}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_asks_for_metrics_that_exist_and_has_a_runbook(alert: dict[str, Any]) -> None:
    asked = set(METRIC.findall(alert["expr"]))
    assert asked and asked <= exported()
    assert alert["labels"]["severity"] in {"page", "ticket"}
    runbook = ROOT / alert["annotations"]["runbook"]
    assert runbook.read_text().startswith(f"# {runbook.stem}: ")


def test_every_runbook_has_its_alert_and_the_guide_names_it() -> None:
    books = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert books == {Path(alert["annotations"]["runbook"]).name for alert in alerts()}
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in sorted(books) if f"runbooks/{name}" not in guide] == []


def test_names_of_alerts_are_unique() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names))
