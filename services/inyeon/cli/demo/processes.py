"""Processes of the demo: started here, ended here, by handle, never by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

STOP_S = 8.0  # an agent closes its call and streams in 5 s; 3 s spare, then it is killed
LINE_LIMIT = 1 << 20  # an event is below 2 kB; the limit only bounds memory


class Child:
    """A process with JSON lines on stdout, JSON commands on stdin and a log file for stderr."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], log_file: Path, environment: Mapping[str, str]
    ) -> Child:
        """Starts a program of this environment's `bin` folder."""
        program = str(Path(sys.executable).parent / arguments[0])
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments[1:],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        return cls(process, name)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Its JSON lines until it ends; other lines are passed over."""
        assert self._process.stdout is not None  # noqa: S101 - PIPE above
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    async def tell(self, command: Mapping[str, object]) -> None:
        """Sends a command; a process that is gone is told nothing."""
        if self._process.stdin is None or self.exit_code is not None:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            await self._process.stdin.drain()

    def rss_bytes(self) -> int:
        """Resident memory of it and its children; 0 when it is gone."""
        try:
            family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        except psutil.Error:
            return 0
        total = 0
        for member in family:
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
        return total

    async def stop(self, limit_s: float = STOP_S) -> None:
        """SIGTERM, then SIGKILL to its session after `limit_s`."""
        if self.exit_code is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), limit_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self._process.wait()
