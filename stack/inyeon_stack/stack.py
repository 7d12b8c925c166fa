"""The three engines together, as `make stack` runs them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from inyeon_stack.kafka import KafkaCluster
from inyeon_stack.postgres import Postgres
from inyeon_stack.settings import StackSettings
from inyeon_stack.triton import Triton

SERVICES = ("matching", "moderation", "translation", "gateway")
ENGINES = ("kafka", "postgresql", "triton")

Report = Callable[[str, str], None]
"""Told an engine's name and what happens to it."""


class Engine(Protocol):
    """What the stack needs of each."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Of its programs that run."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """host:port."""

    @property
    def logs(self) -> tuple[Path, ...]:
        """Where they write."""

    def require_ports(self) -> None:
        """Raises PortTaken where somebody else has one that a program needs which does not run."""

    def start(self) -> None:
        """Nothing where it runs."""

    def stop(self) -> None:
        """Nothing where it does not run."""

    def kill(self) -> None:
        """At once."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine now. `rss_mb`: of its programs and those that they started."""

    engine: str
    running: bool
    addresses: tuple[str, ...]
    pids: tuple[int, ...]
    rss_mb: int
    logs: tuple[str, ...]


class Stack:
    """Engines on one folder; any later object on the same folder finds them again."""

    def __init__(
        self,
        folder: Path,
        settings: StackSettings,
        repository: Path,
        without: Sequence[str] = (),
    ) -> None:
        self._folder = folder.resolve()
        data = self._folder / "data"
        nodes = _nodes(data / "kafka", settings)
        first = settings.kafka_port
        ports = [first + i for i in range(nodes)] if first else []
        self._kafka = KafkaCluster(data / "kafka", nodes, ports)
        self.postgres = Postgres(data / "postgresql", settings.postgres_port)
        self._triton = Triton(
            data / "triton",
            repository,
            settings.triton_port,
            settings.triton_http_port,
            metrics_port=settings.triton_metrics_port,
        )
        every: dict[str, Engine] = {
            "kafka": self._kafka,
            "postgresql": self.postgres,
            "triton": self._triton,
        }
        self._engines = {name: one for name, one in every.items() if name not in without}

    @property
    def file(self) -> Path:
        """Where the addresses are, for `inyeon up --stack`."""
        return self._folder / "stack.json"

    def up(self, report: Report) -> dict[str, object]:
        """Starts what does not run, makes the databases and writes the addresses, which it returns.

        When one engine fails, those that this call started end. Raises StackError.
        """
        with self._alone():
            fresh = [one for one in self._engines.values() if not one.pids]
            for one in self._engines.values():
                one.require_ports()
            try:
                self._start(report)
                if "postgresql" in self._engines:
                    self._make_databases()
            except BaseException:
                for one in fresh:
                    one.kill()
                raise
            return self._write()

    def down(self, report: Report) -> None:
        """Ends what runs. Raises EngineFailed where something survives."""
        with self._alone():
            for name in reversed(self._engines):
                engine = self._engines[name]
                if engine.pids:
                    engine.stop()
                    report(name, "ended")
                else:
                    report(name, "does not run")
            self.file.unlink(missing_ok=True)

    def status(self) -> list[EngineStatus]:
        """Every engine now."""
        return [_status(name, engine) for name, engine in self._engines.items()]

    def _start(self, report: Report) -> None:
        fresh = {name: one for name, one in self._engines.items() if not _complete(one)}

        def start(name: str, engine: Engine) -> None:
            report(name, "starts")
            engine.start()
            report(name, "ready")

        for name in self._engines.keys() - fresh:
            report(name, "runs already")
        with ThreadPoolExecutor(max_workers=len(ENGINES)) as pool:
            started = [pool.submit(start, name, engine) for name, engine in fresh.items()]
            try:
                for one in as_completed(started):
                    one.result()
            except BaseException:
                # The others' threads wait for programs that are not wanted any more.
                for engine in fresh.values():
                    engine.kill()
                raise

    def _make_databases(self) -> None:
        for service in SERVICES:
            self.postgres.create(f"inyeon_{service}")

    def _write(self) -> dict[str, object]:
        facts: dict[str, object] = {}
        if "kafka" in self._engines:
            facts["kafka"] = list(self._kafka.servers)
            facts["kafka_replication"] = self._kafka.replication
        if "postgresql" in self._engines:
            facts["database_url"] = self.postgres.url("inyeon_{service}")
            facts["postgresql_port"] = self.postgres.port
        if "triton" in self._engines:
            facts |= {"triton": self._triton.grpc, "triton_http": self._triton.http}
            facts["triton_metrics"] = f"127.0.0.1:{self._triton.metrics_port}"
        facts["folder"] = str(self._folder)
        draft = self.file.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(facts, file, indent=2)  # the database's password is in it
        os.replace(draft, self.file)
        return facts

    @contextlib.contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """One `up` or `down` at a time; the next waits."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".stack.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield


def _nodes(folder: Path, settings: StackSettings) -> int:
    """As many as the folder has data of: a cluster does not change its size."""
    return len(list(folder.glob("node*"))) or settings.kafka_nodes


def _complete(engine: Engine) -> bool:
    """Every program of it runs; of a cluster some may not."""
    return len(engine.pids) == len(engine.logs)


def _status(name: str, engine: Engine) -> EngineStatus:
    logs = tuple(str(log) for log in engine.logs)
    pids = engine.pids
    return EngineStatus(name, _complete(engine), engine.addresses, pids, _rss_mb(pids), logs)


def _rss_mb(pids: Sequence[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(pid)
            total += sum(one.memory_info().rss for one in (found, *found.children(recursive=True)))
    return total // 2**20
