"""`inyeon matching simulate` and `calibrate`: figures for people and machines, a report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from inyeon.cli.app import app

pytestmark = pytest.mark.unit

SHORT = ("--duration-s", "150", "--policy", "service", "--policy", "random-first-fit")


def simulate(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["matching", "simulate", *arguments])


def test_machines_get_the_same_bytes_again() -> None:
    first, second = simulate(*SHORT, "--json"), simulate(*SHORT, "--json")
    assert first.exit_code == 0 and first.stdout == second.stdout
    facts = json.loads(first.stdout)
    assert facts["simulated"] is True and facts["scenario"]["name"] == "evening"
    assert [one["policy"]["name"] for one in facts["policies"]] == ["random-first-fit", "service"]
    assert all(one["broken_gates"] == 0 for one in facts["policies"])


def test_people_read_that_it_is_simulated() -> None:
    told = simulate(*SHORT)
    assert told.exit_code == 0
    assert "SIMULATED" in told.stdout and "service" in told.stdout


def test_the_report_has_everything_in_it(tmp_path: Path) -> None:
    out, again = tmp_path / "one.html", tmp_path / "two.html"
    assert simulate(*SHORT, "--out", str(out)).exit_code == 0
    assert simulate(*SHORT, "--out", str(again)).exit_code == 0
    page = out.read_text("utf-8")
    assert page == again.read_text("utf-8")
    assert page.count("<svg") == 5 and page.count("SIMULATED") >= 6
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", page)
    assert not re.search(r'(src|href)="https?:', page)


def test_the_report_draws_the_first_policy_where_the_service_did_not_run(tmp_path: Path) -> None:
    out = tmp_path / "one.html"
    told = simulate("--duration-s", "60", "--scenario", "small-town", "--policy", "anybody",
                    "--out", str(out))  # fmt: skip
    assert told.exit_code == 2 and "(warm_up_s)" in told.stderr
    told = simulate("--duration-s", "400", "--scenario", "small-town", "--policy", "anybody",
                    "--out", str(out))  # fmt: skip
    assert told.exit_code == 0 and "under anybody" in out.read_text("utf-8")


def test_files_of_ones_own(tmp_path: Path) -> None:
    facts = json.loads(simulate(*SHORT, "--json").stdout)["scenario"]
    scenario, policies = tmp_path / "scenario.json", tmp_path / "policies.json"
    scenario.write_text(json.dumps({**facts, "name": "mine"}))
    policies.write_text(json.dumps([{"name": "odd", "explore": 1.0}]))
    told = simulate("--scenario-file", str(scenario), "--policies-file", str(policies), "--json")
    assert told.exit_code == 0
    found = json.loads(told.stdout)
    assert found["scenario"]["name"] == "mine" and found["policies"][0]["policy"]["explore"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--scenario", "mars"), "scenario"),
        (("--scenario-file", "/nowhere.json"), "scenario-file"),
        (("--policy", "magic"), "policy"),
        (("--policies-file", "/nowhere.json"), "policies-file"),
        (("--duration-s", "-3"), "duration_s"),
        (("--duration-s", "nan"), "duration_s"),
        ((*SHORT, "--out", "/nowhere/report.html"), "out"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: tuple[str, ...], field: str) -> None:
    told = simulate(*arguments)
    assert told.exit_code == 2
    lines = [line for line in told.stderr.splitlines() if line.startswith("SIMULATION_REFUSED")]
    assert len(lines) == 1 and f"({field})" in lines[0]
    assert "Traceback" not in told.stderr


def test_calibrate_refuses_another_folder(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["matching", "calibrate", str(tmp_path)])
    assert told.exit_code == 2 and "(DATA)" in told.stderr


def test_calibrate_writes_what_the_simulator_reads(tmp_path: Path) -> None:
    import os

    from inyeon.matching.simulation.calibration import read

    folder = Path(os.environ.get("INYEON_DATA", "../shared/data")) / "reciprocal"
    if not folder.exists():
        pytest.skip(f"no data in {folder}: set INYEON_DATA")
    out = tmp_path / "calibration.json"
    told = CliRunner().invoke(app, ["matching", "calibrate", str(folder), "--out", str(out)])
    assert told.exit_code == 0 and read(json.loads(out.read_text("utf-8"))).mutual > 0.1
    shown = CliRunner().invoke(app, ["matching", "calibrate", str(folder)])
    assert shown.stdout == out.read_text("utf-8")
