"""Processes under test: started, killed, stopped for a while and started again, by handle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

START_S = 90.0  # imports of 2 s, times a busy machine, and a broker that just comes back
STOP_S = 45.0  # a service drains in 38 s at most
LINE_LIMIT = 1 << 20


class DidNotStart(Exception):
    """A process ended, or did not say in time that it is ready."""


class Child:
    """One place for a process: at most one runs there, its output is appended to one file.

    Lines of JSON on its stdout go to `heard`; `{"ready": true}` is what a start waits for.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        environment: Mapping[str, str],
        output: Path,
        heard: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.name = name
        self.output = output
        self.starts = 0
        self._argv = [str(part) for part in argv]
        self._environment = {**os.environ, **environment}
        self._heard = heard or (lambda _: None)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    @property
    def running(self) -> bool:
        """A process is there; a stopped one counts."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the running process. Raises RuntimeError where none runs."""
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    async def launch(self) -> None:
        """Starts the process and does not wait for it."""
        self.ready = asyncio.Event()
        self.starts += 1
        with self.output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=self._stdout(output),
                stderr=output,
                env=self._environment,
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._watch(self._process, self.ready))

    async def start(self, within_s: float = START_S) -> None:
        """Starts the process; returns when it says that it is ready. Raises DidNotStart."""
        await self.launch()
        await self.until_ready(within_s)

    async def until_ready(self, within_s: float = START_S) -> None:
        """Raises DidNotStart."""
        try:
            async with asyncio.timeout(within_s):
                await self.ready.wait()
        except TimeoutError:
            raise DidNotStart(f"{self.name}: not ready in {within_s} s{self.tail()}") from None
        if not self.running:
            raise DidNotStart(f"{self.name}: ended at start{self.tail()}")

    def tell(self, message: Mapping[str, object]) -> bool:
        """Writes a line to its stdin; False where nobody reads it any more."""
        if not self.running or self._process is None or self._process.stdin is None:
            return False
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            return True
        return False

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._gone()

    def pause(self) -> None:
        """SIGSTOP: alive, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    async def stop(self) -> int:
        """SIGTERM, then SIGKILL after STOP_S; its exit code."""
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)
                os.kill(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_S)
        await self.kill()
        return self._process.returncode or 0 if self._process is not None else 0

    def tail(self, lines: int = 12) -> str:
        """What it wrote last, for an error message."""
        if not self.output.exists():
            return ""
        said = self.output.read_text(errors="replace").splitlines()[-lines:]
        return "\n  " + "\n  ".join(said)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _stdout(self, output: IO[bytes]) -> int | IO[bytes]:
        return asyncio.subprocess.PIPE

    async def _watch(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        stdout = process.stdout
        while stdout is not None and (line := await stdout.readline()):
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if message.get("ready"):
                    ready.set()
                else:
                    self._heard(message)
        ready.set()  # ended: nobody needs to wait any longer
