"""Runs a cluster until a signal comes or one of its processes ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inyeon.cli.cluster.children import START_S, Children, Ended
from inyeon.cli.cluster.plan import DEVICES, Shared, counts, endpoint, page_of, plan
from inyeon.cli.cluster.stack_file import StackFile, read_stack_file
from inyeon.cli.ports import free_ports, is_free
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.settings import RuntimeSettings
from inyeon.translation.adapters.key import caption_key

FIRST_PORT = 7500
FAILED = 1
BY_SIGNAL = 128


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What the command line says."""

    stack_file: Path
    replicas: tuple[str, ...]
    free_ports: bool
    as_json: bool


async def run_cluster(options: ClusterOptions, roles: Sequence[str]) -> int:
    """0 after a signal, else the code of the process that ended by itself.

    Raises SettingsRefused before anything is started.
    """
    shared = _shared(read_stack_file(options.stack_file))
    members = plan(counts(options.replicas, roles), shared, _ports(options))
    console = Console(stderr=options.as_json)
    children, stop = Children(), asyncio.Event()
    try:
        with _stopping(stop, children):
            await children.start(members, _logs(shared.data_dir))
            ended = await _live(children, stop, options, console)
            await children.end()
    finally:
        children.kill()
    return _tell(ended, console)


async def _live(
    children: Children, stop: asyncio.Event, options: ClusterOptions, console: Console
) -> Ended | None:
    """The process that ended by itself, or that was not ready in time; None when asked to stop."""
    ending = asyncio.create_task(children.first_end())
    stopping = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(
        children.until_served(lambda name: console.print(f"{name} ready"))
    )
    tasks: list[asyncio.Task[object]] = [ending, stopping, serving]
    try:
        await asyncio.wait(tasks, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if not any(task.done() for task in tasks):
            return children.late()
        if not (ending.done() or stopping.done()):
            serving.result()
            _announce(children, options, console)
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        return None if stopping.done() else ending.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _shared(stack: StackFile) -> Shared:
    settings = RuntimeSettings()
    if not settings.development:
        message = "processes that share generated keys are for development; deploy/helm is for more"
        raise SettingsRefused(message, field="INYEON_ENVIRONMENT")
    data_dir = settings.data_dir.resolve()
    key = caption_key("", data_dir).hex()
    return Shared(stack, data_dir, settings.keys.resolve(), key)


def _logs(data_dir: Path) -> Path:
    logs = data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return logs


def _ports(options: ClusterOptions) -> Callable[[int], Sequence[int]]:
    """Those from FIRST_PORT on; any free ones if asked for, or where one of those is taken."""

    def choose(count: int) -> Sequence[int]:
        usual = range(FIRST_PORT, FIRST_PORT + count)
        if options.free_ports or not all(is_free(port) for port in usual):
            return free_ports(count)
        return usual

    return choose


@contextlib.contextmanager
def _stopping(stop: asyncio.Event, children: Children) -> Iterator[None]:
    """The first signal asks for an orderly end, the second one ends at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            children.kill()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _announce(children: Children, options: ClusterOptions, console: Console) -> None:
    members = [child.member for child in children.all]
    if options.as_json:
        facts = {
            "event": "ready",
            "endpoints": {role: endpoint(members, role) for role in DEVICES},
            "pages": {m.role: page_of(m.ports) for m in reversed(members)},
            "processes": [child.facts() for child in children.all],
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        return
    table = Table("process", "pid", "gRPC", "internal", "pages")
    for child in children.all:
        ports = child.member.ports
        numbers = (child.pid, ports.grpc, ports.internal)
        table.add_row(child.member.name, *map(str, numbers), page_of(ports))
    console.print(table)
    console.print(f"logs: {children.all[0].log.parent}", soft_wrap=True, highlight=False)
    told = " ".join(f"--{role}-endpoint {endpoint(members, role)}" for role in DEVICES)
    console.print(f"agents: inyeon-edge run {told}", soft_wrap=True, highlight=False)


def _tell(ended: Ended | None, console: Console) -> int:
    if ended is None:
        return 0
    console.print(f"{ended.name} {ended.how}; the others were ended", highlight=False)
    console.print(ended.tail, markup=False, highlight=False, soft_wrap=True)
    # A process that ended well has still left the others alone.
    return ended.code if ended.code > 0 else BY_SIGNAL - ended.code if ended.code else FAILED
