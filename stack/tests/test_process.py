"""Programs are started, found again and ended whole, whatever they do."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import pytest

from inyeon_stack.errors import EngineFailed
from inyeon_stack.process import Process

pytestmark = pytest.mark.unit

SLEEPS = "print('here', flush=True); import time; time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time;"
    f" time.sleep(60)'], start_new_session=True); print(child.pid, flush=True); {SLEEPS}"
)


@pytest.fixture
def process(tmp_path: Path) -> Generator[Process, None, None]:
    one = Process("thing", tmp_path / "thing")
    yield one
    one.kill()


def launch(process: Process, script: str = SLEEPS) -> None:
    process.launch([sys.executable, "-c", script], os.environ, {"port": 7})
    process.await_ready(lambda: process.says("here"), 20.0)


def test_it_runs_until_it_is_stopped(process: Process) -> None:
    assert process.pid is None
    launch(process)
    pid = process.pid
    assert pid is not None
    process.stop(10.0)
    assert process.pid is None
    assert not psutil.pid_exists(pid)


def test_stopping_what_does_not_run_is_harmless(process: Process) -> None:
    process.stop(1.0)
    process.kill()


def test_a_later_object_finds_it_with_its_ports_and_ends_it(
    process: Process, tmp_path: Path
) -> None:
    launch(process)
    later = Process("thing", tmp_path / "thing")
    assert (later.pid, later.ports) == (process.pid, {"port": 7})
    later.stop(10.0)
    assert (process.pid, process.ports) == (None, {})


def test_a_pid_that_was_given_anew_is_somebody_else(process: Process, tmp_path: Path) -> None:
    launch(process)
    noted = tmp_path / "thing" / "process.json"
    facts = json.loads(noted.read_text())
    process.stop(10.0)
    noted.write_text(json.dumps({**facts, "pid": os.getpid()}))
    assert process.pid is None
    process.kill()  # and we still live


@pytest.mark.parametrize("text", ["", "{}", '{"pid": "x"}', "[]", '{"pid": 1}', "\0"])
def test_a_broken_pid_file_means_that_nothing_runs(
    process: Process, tmp_path: Path, text: str
) -> None:
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "process.json").write_text(text)
    assert process.pid is None
    process.kill()


def test_who_does_not_hear_is_killed(process: Process) -> None:
    launch(process, DEAF)
    process.stop(0.2)
    assert process.pid is None


def test_a_paused_program_can_be_stopped(process: Process) -> None:
    launch(process)
    process.pause()
    assert process.pid is not None
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    process.stop(10.0)
    assert process.pid is None


def test_it_goes_on_after_a_pause(process: Process) -> None:
    launch(process)
    process.pause()
    process.resume()
    assert process.pid is not None
    assert psutil.Process(process.pid).status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize("end", [Process.kill, lambda p: p.stop(10.0)])
def test_what_it_started_ends_with_it_even_in_another_session(
    process: Process, end: Callable[[Process], None]
) -> None:
    launch(process, PARENT)
    child = psutil.Process(int(process.tail().splitlines()[0]))
    end(process)
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline


def test_an_end_at_start_shows_the_code_and_the_log(process: Process) -> None:
    process.launch([sys.executable, "-c", "print('no disk'); raise SystemExit(4)"], {}, {})
    with pytest.raises(EngineFailed, match="ended at start with exit code 4") as failed:
        process.await_ready(lambda: False, 20.0)
    assert failed.value.log_tail == "no disk"


def test_who_is_not_ready_in_time_is_ended(process: Process) -> None:
    process.launch([sys.executable, "-c", SLEEPS], os.environ, {})
    with pytest.raises(EngineFailed, match="not ready within 0 s"):
        process.await_ready(lambda: False, 0.1)
    assert process.pid is None


def test_nothing_is_left_when_waiting_is_broken_off(process: Process) -> None:
    process.launch([sys.executable, "-c", SLEEPS], os.environ, {})

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.await_ready(interrupted, 20.0)
    assert process.pid is None


def test_a_program_that_is_absent_is_named(process: Process) -> None:
    with pytest.raises(EngineFailed, match="cannot run /no/such"):
        process.launch(["/no/such"], {}, {})


def test_the_log_of_an_earlier_run_proves_nothing(process: Process) -> None:
    launch(process)
    process.stop(10.0)
    process.launch([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, {})
    assert not process.says("here")
    assert "here" in process.log.read_text()


def test_a_program_that_does_not_run_cannot_be_paused(process: Process) -> None:
    with pytest.raises(EngineFailed, match="does not run"):
        process.pause()


def test_it_is_stopped_by_the_signal_that_it_wants(tmp_path: Path) -> None:
    process = Process("thing", tmp_path / "thing", stop_signal=signal.SIGINT)
    script = f"""
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, lambda *_: sys.exit(print('asked', flush=True)))
{SLEEPS}"""
    launch(process, script)
    process.stop(10.0)
    assert process.says("asked")
