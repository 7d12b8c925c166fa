"""Runs the demo: stage, story, view, status page, summary."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from inyeon.cli.demo.cast import Cast, cast
from inyeon.cli.demo.page import PageTeller
from inyeon.cli.demo.platform import Launch, alone, cluster
from inyeon.cli.demo.stage import Stage
from inyeon.cli.demo.steps import Summary
from inyeon.cli.demo.story import Story
from inyeon.cli.demo.view import live_view
from inyeon.cli.ports import free_ports, is_free

VIEW_S = 0.5
FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # rich names fonts of another host
DEFAULT_PORTS = (7400, 7401, 7480)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    once: bool
    seed: int
    as_json: bool
    models_dir: Path
    free_ports: bool = False
    picture: Path | None = None
    """SVG file for the closing view."""
    stack_file: Path | None = None
    """Addresses of running engines; None: the platform is one process without any."""


async def run_demo(options: DemoOptions) -> int:
    """0 when every step happened."""
    with tempfile.TemporaryDirectory(prefix="inyeon-demo-") as folder:
        stage = Stage(_launch(options, Path(folder)), Path(folder))
        people = cast(options.models_dir, _mark(options))
        story = Story(stage, people, options.seed)
        console = Console(stderr=options.as_json)
        helpers = [
            asyncio.create_task(PageTeller(stage, people, story.summary).run()),
            asyncio.create_task(_measure(stage)),
        ]
        stop = asyncio.Event()
        try:
            with _stopping(stop), Live(console=console, refresh_per_second=4) as live:
                helpers.append(asyncio.create_task(_view(live, stage, people, story.summary)))
                happened = await _until_stopped(story, stop)
                live.update(live_view(stage, people, story.summary))
                if options.picture is not None:
                    _draw(live_view(stage, people, story.summary), options.picture)
                if not options.once and not stop.is_set():
                    await stop.wait()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if not story.summary.succeeded:
                _tell_logs(stage, console)
            await stage.close()
        _close(options, story.summary, stage, console)
        return 0 if happened else 1


async def _until_stopped(story: Story, stop: asyncio.Event) -> bool:
    running = asyncio.create_task(story.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return running.done() and running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)


def _launch(options: DemoOptions, folder: Path) -> Launch:
    if options.stack_file is not None:
        return cluster(options.stack_file.resolve(), free_ports=options.free_ports)
    ports = list(DEFAULT_PORTS)
    if options.free_ports or not all(is_free(port) for port in ports):
        ports = free_ports(len(ports))
    return alone(folder, *ports)


def _mark(options: DemoOptions) -> str:
    """The engines remember: two people who met do not meet again for ten minutes, and a verdict
    outlives the demo. So each run on them has people of its own.
    """
    return f"-{secrets.token_hex(3)}" if options.stack_file is not None else ""


@contextlib.contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _view(live: Live, stage: Stage, people: Cast, summary: Summary) -> None:
    while True:
        live.update(live_view(stage, people, summary))
        await asyncio.sleep(VIEW_S)


async def _measure(stage: Stage) -> None:
    while True:
        stage.measure()
        await asyncio.sleep(1.0)


def _draw(view: RenderableType, picture: Path) -> None:
    drawer = Console(record=True, width=118, file=io.StringIO())
    drawer.print(view)
    drawing = drawer.export_svg(title="make demo")
    picture.write_text(FONT_FACE.sub("", drawing))


def _tell_logs(stage: Stage, console: Console) -> None:
    """The last lines of each process: the folder goes away with the demo."""
    for log in sorted(stage.folder.glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-15:]
        if tail:
            console.print(f"--- {log.name}", markup=False)
            console.print(os.linesep.join(tail), markup=False, highlight=False)


def _close(options: DemoOptions, summary: Summary, stage: Stage, console: Console) -> None:
    if options.as_json:
        for step in summary.steps.values():
            sys.stdout.write(json.dumps({**asdict(step), "state": step.state.value}) + "\n")
        return
    verdict = "every step happened" if summary.succeeded else "not every step happened"
    console.print(f"{verdict} in {stage.elapsed_s():.0f} s")
