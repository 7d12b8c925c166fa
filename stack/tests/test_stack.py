"""The engines together: found again by a later object, ended by whom did not start them."""

from __future__ import annotations

import json
import os
import socket
import uuid
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from inyeon_stack import PortTaken, StackError
from inyeon_stack.cli import NOT_RUNNING, app
from inyeon_stack.settings import StackSettings
from inyeon_stack.stack import SERVICES, Stack

pytestmark = [pytest.mark.integration, pytest.mark.engine("postgresql")]

FREE = StackSettings(0, 1, 0, 0, 0, 0)
WITHOUT = ("kafka", "triton")  # they have their own tests; what is tested here is the same for all


def stack(folder: Path, settings: StackSettings = FREE) -> Stack:
    return Stack(folder, settings, folder / "repository", WITHOUT)


def nothing(engine: str, what: str) -> None:
    pass


def test_it_is_up_until_somebody_else_takes_it_down(engine_folder: Path) -> None:
    folder = engine_folder / uuid.uuid4().hex
    facts = stack(folder).up(nothing)
    told: list[tuple[str, str]] = []
    try:
        (found,) = stack(folder).status()
        assert found.running
        assert found.rss_mb > 0
        assert str(facts["database_url"]).endswith("/inyeon_{service}")
        assert json.loads((folder / "stack.json").read_text()) == facts
        assert (folder / "stack.json").stat().st_mode & 0o077 == 0
        assert stack(folder).up(lambda *what: told.append(what)) == facts
        assert told == [("postgresql", "runs already")]
    finally:
        stack(folder).down(nothing)
    assert not any(psutil.pid_exists(pid) for pid in found.pids)
    assert not stack(folder).status()[0].running
    assert not (folder / "stack.json").exists()
    stack(folder).down(lambda *what: told.append(what))
    assert told[-1] == ("postgresql", "does not run")


def test_every_service_has_its_database(engine_folder: Path) -> None:
    folder = engine_folder / uuid.uuid4().hex
    one = stack(folder)
    one.up(nothing)
    try:
        for service in SERVICES:
            assert one.postgres.cut_connections(f"inyeon_{service}") == 0
            one.postgres.create(f"inyeon_{service}")
    finally:
        one.down(nothing)


def test_nothing_is_left_when_one_cannot_start(engine_folder: Path) -> None:
    folder = engine_folder / uuid.uuid4().hex
    one = Stack(folder, FREE, folder / "no-repository", ("kafka",))
    with pytest.raises(StackError):
        one.up(nothing)
    assert not any(engine.running for engine in one.status())
    assert not (folder / "stack.json").exists()


def test_a_taken_port_is_named(engine_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = StackSettings(0, 1, taken.getsockname()[1], 0, 0, 0)
        with pytest.raises(PortTaken, match=str(settings.postgres_port)):
            stack(engine_folder / uuid.uuid4().hex, settings).up(nothing)


def test_the_commands_say_what_runs(engine_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACK_POSTGRES_PORT", "0")
    folder = str(engine_folder / uuid.uuid4().hex)
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
    less = ["--without", "kafka", "--without", "triton"]
    try:
        up = runner.invoke(app, ["up", "--folder", folder, *less])
        assert up.exit_code == 0, up.output
        assert "postgresql ready" in up.output
        status = runner.invoke(app, ["status", "--folder", folder, "--json"])
        assert status.exit_code == NOT_RUNNING
        running = {e["engine"]: e["running"] for e in json.loads(status.stdout)["engines"]}
        assert running == {"kafka": False, "postgresql": True, "triton": False}
        again = runner.invoke(app, ["up", "--folder", folder, "--json", *less])
        assert "database_url" in json.loads(again.stdout)
    finally:
        down = runner.invoke(app, ["down", "--folder", folder])
    assert "postgresql ended" in down.output


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["up", "--without", "redis"], {}, "'redis' is none of kafka"),
        (["status"], {"STACK_KAFKA_PRT": "1"}, "STACK_KAFKA_PRT"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", **environment})
    result = runner.invoke(app, [*arguments, "--folder", str(tmp_path)])
    assert result.exit_code != 0
    assert words in result.output


def test_a_taken_port_is_named_with_who_has_it_and_how_to_choose_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        runner = CliRunner(env={"COLUMNS": "200", "STACK_POSTGRES_PORT": port})
        asked = ["up", "--folder", str(tmp_path), "--without", "kafka", "--without", "triton"]
        result = runner.invoke(app, asked)
    assert result.exit_code == 1
    assert f"process {os.getpid()} " in result.output
    assert f"listens on 127.0.0.1:{port}: other ports by STACK_KAFKA_PORT" in result.output
