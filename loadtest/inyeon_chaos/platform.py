"""The platform under test: every service a process of its own on real engines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from inyeon.cli.cluster.plan import Member, Shared, endpoint, page_of, plan
from inyeon.cli.cluster.stack_file import StackFile
from inyeon.cli.ports import free_ports
from inyeon_chaos.children import Child
from inyeon_chaos.reading import read_rows
from inyeon_chaos.stack_engines import StackEngines

STORES = ("matching", "moderation", "translation", "gateway")
REPLICAS = {
    "moderation": 2,
    "matching": 2,
    "translation": 1,
    "gateway": 1,
    "moderation-worker": 2,
    "relay": 2,
}
FEW = {"moderation": 1, "matching": 2, "gateway": 1}
"""What people need to meet: for a test beside other things."""
ASK_S = 2.0
LOOK_S = 0.2


class ServiceProcess(Child):
    """One `inyeon serve`; ready when its pages answer."""

    def __init__(self, member: Member, folder: Path, extra: Mapping[str, str]) -> None:
        path = os.environ.get("PYTHONPATH", "")
        environment = {"PYTHONPATH": path, **member.environment, **extra}
        argv = [sys.executable, "-m", "inyeon", "serve", member.role]
        super().__init__(member.name, argv, environment, folder / f"{member.name}.log")
        self.member = member
        self.answered = False
        """The process that was started last has been ready."""

    def _stdout(self, output: IO[bytes]) -> int | IO[bytes]:
        return output

    async def _watch(self, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        url, self.answered = f"{page_of(self.member.ports)}healthz", False
        while process.returncode is None and not ready.is_set():
            if await asyncio.to_thread(_answers, url):
                self.answered = True
                ready.set()
            else:
                await asyncio.sleep(LOOK_S)
        await process.wait()
        ready.set()

    async def gauge(self, name: str) -> float | None:
        """A metric without labels; None while the process does not show it."""
        url = f"{page_of(self.member.ports)}metrics"
        for line in (await asyncio.to_thread(_page, url)).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return None


class Platform:
    """All processes. Starting and ending is by handle."""

    def __init__(self, folder: Path, engines: StackEngines, replicas: Mapping[str, int]) -> None:
        for name in ("data", "keys", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.logs = folder / "logs"
        settings = engines.environment
        stack = StackFile(
            kafka=tuple(json.loads(settings["INYEON_KAFKA_SERVERS"])),
            kafka_replication=engines.kafka.replication,
            database_url=settings["INYEON_DATABASE_URL"],
            triton=engines.triton.grpc if engines.triton is not None else None,
        )
        shared = Shared(stack, folder / "data", folder / "keys", secrets.token_hex(32))
        self._members = plan(replicas, shared, free_ports)
        # Anybody meets anybody at once, and again: a few people would soon have met everybody, and
        # a recovery that waits for somebody of like interests would measure that.
        extra = {
            "INYEON_MATCHING_REMATCH_HORIZON_S": "0",
            "INYEON_MATCHING_MIN_SIMILARITY": "0",
            "INYEON_LOG_LEVEL": "INFO",
        }
        self.processes = [ServiceProcess(one, self.logs, extra) for one in self._members]
        self._engines = engines

    @property
    def endpoints(self) -> Mapping[str, str]:
        """What devices are told."""
        return {
            role: endpoint(self._members, role) for role in ("moderation", "matching", "gateway")
        }

    def named(self, name: str) -> ServiceProcess:
        """A process by its name, such as matching-1."""
        return next(one for one in self.processes if one.name == name)

    async def start(self) -> None:
        """The first replica of each role makes keys and tables before the others come."""
        firsts = [one for one in self.processes if one.member.number == 1]
        for one in firsts:
            await one.start()
        await asyncio.gather(*(one.start() for one in self.processes if one not in firsts))

    async def kill(self) -> None:
        """Ends whatever still runs."""
        for one in self.processes:
            await one.kill()

    def of_role(self, role: str) -> list[ServiceProcess]:
        """Its replicas."""
        return [one for one in self.processes if one.member.role == role]

    async def pool_owner(self) -> ServiceProcess:
        """The matching replica that holds the pool."""
        rows = await read_rows(
            self._engines.database("matching"), "SELECT replica FROM pool_owners LIMIT 1"
        )
        return self.named(str(rows[0]["replica"]))


def _answers(url: str) -> bool:
    return bool(_page(url))


def _page(url: str) -> str:
    """Empty where nobody answers."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(url, timeout=ASK_S) as answer,  # noqa: S310 - loopback
    ):
        return str(answer.read().decode())
    return ""
