"""The processes of a cluster: started, watched and ended by handle, never by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from inyeon.cli.cluster.plan import Member, page_of

START_S = 180.0  # 10 s for five processes on two cores; 90 s seen where eight others had them too
LOOK_EVERY_S = 0.2
HTTP_S = 2.0  # loopback
# A service drains 20 s, then calls 5, tasks 5 and closers 8: 38 s at worst, and 2 s spare.
END_S = 40.0
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended by itself, or had to be given up. `how`: for people."""

    name: str
    code: int
    how: str
    tail: str


class Child:
    """One running process and its log file."""

    def __init__(self, member: Member, process: asyncio.subprocess.Process, log: Path) -> None:
        self.member = member
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, member: Member, folder: Path) -> Child:
        """Starts `inyeon serve`; it stays in our session, so that what ends us ends it."""
        log = folder / f"{member.name}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "inyeon", "serve", member.role),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **member.environment},
            )
        return cls(member, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ended(self) -> Ended:
        """Waits until it ends."""
        code = await self._process.wait()
        return Ended(self.member.name, code, f"ended with code {code}", self.tail())

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def facts(self) -> dict[str, object]:
        """For machines."""
        ports = self.member.ports
        return {
            "name": self.member.name,
            "role": self.member.role,
            "pid": self.pid,
            "grpc": ports.grpc,
            "internal": ports.internal,
            "http": ports.http,
            "log": str(self.log),
        }

    async def answers(self, client: httpx.AsyncClient) -> tuple[bool, bool]:
        """Does it live, and is it ready?"""
        try:
            answer = await client.get(page_of(self.member.ports) + "readyz")
        except httpx.HTTPError:
            return False, False
        return answer.status_code in (200, 503), answer.status_code == 200

    def signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end(self, by: float) -> None:
        """SIGTERM; SIGKILL at `by` (monotonic)."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(max(0.0, by - time.monotonic())):
                await self._process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()


class Children:
    """All of them."""

    def __init__(self) -> None:
        self.all: list[Child] = []
        self._served: set[str] = set()

    async def start(self, members: Sequence[Member], folder: Path) -> None:
        """Starts every process, with its log in the folder; waits for none."""
        for member in members:
            self.all.append(await Child.start(member, folder))

    async def first_end(self) -> Ended:
        """Waits until one ends."""
        waiting = [asyncio.create_task(child.ended()) for child in self.all]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in waiting:
                task.cancel()

    async def until_served(self, news: Callable[[str], None]) -> None:
        """Returns once every process answers and of each role one is ready: a replica of matching
        that stands by is not. `news` is told each name that became ready.
        """
        roles = {child.member.role for child in self.all}
        async with httpx.AsyncClient(timeout=HTTP_S) as client:
            while True:
                answers = await asyncio.gather(*(child.answers(client) for child in self.all))
                members = [child.member for child in self.all]
                ready = [m for m, (_, is_ready) in zip(members, answers, strict=True) if is_ready]
                for name in sorted({m.name for m in ready} - self._served):
                    self._served.add(name)
                    news(name)
                if all(lives for lives, _ in answers) and {m.role for m in ready} == roles:
                    return
                await asyncio.sleep(LOOK_EVERY_S)

    def late(self) -> Ended:
        """The first that was never ready."""
        child = next(c for c in self.all if c.member.name not in self._served)
        return Ended(child.member.name, 1, f"was not ready within {START_S:.0f} s", child.tail())

    async def end(self) -> None:
        """Ends all of them at the same time."""
        by = time.monotonic() + END_S
        await asyncio.gather(*(child.end(by) for child in self.all))

    def kill(self) -> None:
        """Ends at once what still runs."""
        for child in self.all:
            child.signal(signal.SIGKILL)
