"""The stage: the platform, the devices, and waiting until something is seen on them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from inyeon.cli.demo.cast import Member
from inyeon.cli.demo.platform import Addresses, Launch, addresses_of
from inyeon.cli.demo.processes import Child
from inyeon.cli.demo.seen import Seen

HTTP_TIMEOUT_S = 5.0  # loopback; a page that needs more is stuck


@dataclass(slots=True)
class Stage:
    """Owns all processes of a run; `close` ends them."""

    launch: Launch
    folder: Path
    addresses: Addresses = field(init=False)
    started_s: float = field(default_factory=time.monotonic)
    platform: Child | None = None
    devices: dict[str, Child] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    peak_rss: int = 0

    def __post_init__(self) -> None:
        self.addresses = self.launch.addresses

    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self.started_s

    async def start_platform(self) -> bool:
        """Starts the platform; True when it says it is ready in time."""
        command, log = self.launch.command, self.folder / "platform.log"
        self.platform = await Child.start("platform", command, log, self.launch.environment)
        self.tasks.append(asyncio.create_task(self._follow_platform(self.platform)))
        return await self.until(self._platform_ready, self.launch.start_s)

    async def start_device(self, member: Member, name: str) -> None:
        """Starts an agent and follows its events."""
        arguments = [
            *("inyeon-edge", "run", "--json", "--commands", "--preview-port", "0"),
            *("--source", member.source, *self._endpoints()),
            *("--subject", member.subject, "--age-band", "adult", "--country", member.country),
            *("--gender", member.gender, "--languages", member.languages),
            *("--interests", member.interests, "--name", member.name),
        ]
        environment = {"INYEON_EDGE_DATA_DIR": str(self.folder / member.subject)}
        child = await Child.start(name, arguments, self.folder / f"{name}.log", environment)
        self.devices[member.subject] = child
        self.seen[member.subject] = Seen(member.subject)
        self.tasks.append(asyncio.create_task(self._follow(member.subject, child)))

    async def until(self, seen: Callable[[], Any], timeout_s: float) -> bool:
        """Waits until `seen()` is true, looking again at each event and twice a second."""
        end_s = time.monotonic() + timeout_s
        while True:
            self.news.clear()
            found = seen()
            if bool(await found if asyncio.iscoroutine(found) else found):
                return True
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self.broken():
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), min(0.5, left_s))

    def broken(self) -> str:
        """Name of a process that ended on its own, or empty."""
        children = [self.platform, *self.devices.values()]
        return next((c.name for c in children if c is not None and c.exit_code is not None), "")

    async def get_json(self, path: str) -> Any:
        """A JSON answer of the platform's pages, or None."""
        try:
            async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as client:
                answer = await client.get(self.addresses.url(path))
                return answer.json() if answer.status_code == 200 else None
        except httpx.HTTPError:
            return None

    def measure(self) -> int:
        """Resident bytes of all processes now, this one included; keeps the peak."""
        children = [self.platform, *self.devices.values()]
        own = psutil.Process().memory_info().rss
        total = own + sum(c.rss_bytes() for c in children if c is not None)
        self.peak_rss = max(self.peak_rss, total)
        return total

    async def close(self) -> None:
        """Ends the devices, then the platform, then the followers."""
        await asyncio.gather(*(child.stop() for child in self.devices.values()))
        if self.platform is not None:
            await self.platform.stop(self.launch.end_s)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _endpoints(self) -> list[str]:
        every = self.addresses.endpoints.items()
        return [part for role, where in every for part in (f"--{role}-endpoint", where)]

    async def _platform_ready(self) -> bool:
        return await self.get_json("/readyz") is not None

    async def _follow(self, subject: str, child: Child) -> None:
        async for event in child.events():
            self.seen[subject].apply(event, self.elapsed_s())
            self.news.set()

    async def _follow_platform(self, child: Child) -> None:
        async for event in child.events():
            self.addresses = addresses_of(event) or self.addresses
            self.news.set()
