"""What the command line says when it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from inyeon.cli.app import REFUSED, app
from inyeon.cli.roles import BUILDERS

pytestmark = pytest.mark.unit


def runner() -> CliRunner:
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})  # messages on one line, everywhere


def test_an_unknown_role_is_named() -> None:
    result = runner().invoke(app, ["serve", "mailing"])
    assert result.exit_code == 2
    assert "mailing" in result.output


def test_a_misspelt_setting_is_refused_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INYEON_GRPC_PRT", "1")
    result = runner().invoke(app, ["up"])
    assert result.exit_code == REFUSED
    assert "INYEON_GRPC_PRT" in result.output
    assert "INYEON_GRPC_PORT" in result.output


def test_the_demo_needs_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INYEON_MODELS_DIR", str(tmp_path))
    result = runner().invoke(app, ["demo", "--once"])
    assert result.exit_code == 2
    assert "make models" in result.output


def test_every_role_can_be_served() -> None:
    assert set(BUILDERS) == {"matching", "moderation", "translation", "gateway"}
