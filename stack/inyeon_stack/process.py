"""One program of an engine: started in a session of its own, known again by its pid file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from inyeon_stack.errors import EngineFailed

POLL_S = 0.02
KILLED_WITHIN_S = 10.0  # SIGKILL takes milliseconds; more only while a disk does not answer
SAME_START_S = 2.0  # the kernel's start time is exact, the boot time that it is added to may drift
TAIL_BYTES, TAIL_LINES = 16_384, 25
STANDING = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class Process:
    """At most one running program, whose log and pid file lie in a folder.

    Another `Process` on the same folder, in this interpreter or a later one, sees the same program.
    Not for use by two threads at a time.
    """

    def __init__(self, engine: str, folder: Path, *, stop_signal: int = signal.SIGTERM) -> None:
        self._engine = engine
        self._folder = folder
        self._stop_signal = stop_signal
        self._exit_code: int | None = None
        self._log_from = 0

    @property
    def log(self) -> Path:
        """Everything the program wrote, over all its runs."""
        return self._folder / "log.txt"

    @property
    def pid(self) -> int | None:
        """Of the running program; None where none runs."""
        found = self._find()
        return found.pid if found is not None else None

    @property
    def ports(self) -> dict[str, int]:
        """What the running program was started with; empty where none runs."""
        if self.pid is None:
            return {}
        noted: dict[str, int] = json.loads(self._pid_file.read_text())["ports"]
        return noted

    def launch(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        ports: Mapping[str, int],
        *,
        uid: int | None = None,
    ) -> None:
        """Starts the program; does not wait for it. It must not be running. As `uid` and its group
        where one is given (root only). `ports`: noted for later objects.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_from = log.tell()
            try:
                started = subprocess.Popen(  # noqa: S603 - programs of the stack only
                    argv,
                    env=dict(env),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=uid,
                    group=uid,
                    extra_groups=None if uid is None else [],
                )
            except OSError as error:
                raise EngineFailed(self._engine, f"cannot run {argv[0]}: {error}") from error
        # It may outlive us, and whichever object sees its end buries it: a Popen would complain.
        started.returncode, self._exit_code = 0, None
        self._remember(started.pid, ports)

    def await_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Returns once `ready()`. Raises EngineFailed, the program then being ended."""
        deadline = time.monotonic() + timeout_s
        try:
            while not ready():
                if self.pid is None:
                    raise EngineFailed(self._engine, f"ended at start{self._exit()}", self.tail())
                if time.monotonic() > deadline:
                    reason = f"not ready within {timeout_s:.0f} s"
                    raise EngineFailed(self._engine, reason, self.tail())
                time.sleep(POLL_S)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout_s: float) -> None:
        """Asks the program to end and, after `timeout_s`, kills it. Nothing where none runs."""
        found = self._find()
        if found is not None:
            family = _family(found)
            with contextlib.suppress(psutil.NoSuchProcess):
                found.send_signal(self._stop_signal)
                found.resume()
            if not self._await_end(timeout_s):
                self.kill()
            _end(family)
        self._forget()

    def kill(self) -> None:
        """SIGKILL for the program and what it started, and waits for their end."""
        found = self._find()
        if found is not None:
            family = _family(found)
            with contextlib.suppress(psutil.NoSuchProcess):
                found.kill()
            if not self._await_end(KILLED_WITHIN_S):
                raise EngineFailed(self._engine, f"process {found.pid} survives SIGKILL")
            _end(family)
        self._forget()

    def pause(self) -> None:
        """SIGSTOP: alive, and answers nothing; returns once it stands. Raises EngineFailed where it
        does not run.
        """
        found = self._running()
        found.suspend()
        deadline = time.monotonic() + KILLED_WITHIN_S
        while found.status() not in STANDING and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def resume(self) -> None:
        """SIGCONT."""
        self._running().resume()

    def says(self, words: str) -> bool:
        """The log of the latest run, of which this object saw the start, contains these words."""
        return words in self._written()

    def tail(self) -> str:
        """The last lines of the latest run."""
        return "\n".join(self._written()[-TAIL_BYTES:].splitlines()[-TAIL_LINES:])

    def _written(self) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def _running(self) -> psutil.Process:
        found = self._find()
        if found is None:
            raise EngineFailed(self._engine, "does not run")
        return found

    def _exit(self) -> str:
        return "" if self._exit_code is None else f" with exit code {self._exit_code}"

    def _bury(self, pid: int) -> None:
        """Takes the exit code if it is a child of ours that has ended: until then its pid is not
        free.
        """
        with contextlib.suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._exit_code = os.waitstatus_to_exitcode(status)

    def _find(self) -> psutil.Process | None:
        """The program of the pid file, if it is still that one: pids are given anew."""
        try:
            noted = json.loads(self._pid_file.read_text())
            found = psutil.Process(int(noted["pid"]))
            is_same = abs(found.create_time() - float(noted["created"])) < SAME_START_S
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        if is_same and _lives(found):
            return found
        if is_same:
            self._bury(found.pid)
        return None

    def _remember(self, pid: int, ports: Mapping[str, int]) -> None:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return  # already over: await_ready says so
        draft = self._pid_file.with_suffix(".new")
        draft.write_text(json.dumps({"pid": pid, "created": created, "ports": dict(ports)}))
        os.replace(draft, self._pid_file)

    def _forget(self) -> None:
        self._pid_file.unlink(missing_ok=True)

    def _await_end(self, timeout_s: float) -> bool:
        """Asks again and again: of a program that is not our child only the looks can tell."""
        deadline = time.monotonic() + timeout_s
        while self._find() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    @property
    def _pid_file(self) -> Path:
        return self._folder / "process.json"


def _family(found: psutil.Process) -> list[psutil.Process]:
    try:
        return list(found.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _end(family: Sequence[psutil.Process]) -> None:
    """Some leave their parent's session (PostgreSQL's backends do), so each is ended by itself."""
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    deadline = time.monotonic() + KILLED_WITHIN_S
    while any(map(_lives, family)) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _lives(one: psutil.Process) -> bool:
    """A zombie does not: who should bury it may take seconds. But its main thread is one while the
    others still hold its ports.
    """
    try:
        is_zombie = one.status() == psutil.STATUS_ZOMBIE
        return bool(one.is_running() and not (is_zombie and one.num_threads() <= 1))
    except psutil.NoSuchProcess:
        return False
