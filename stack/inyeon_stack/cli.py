"""Commands of `python -m inyeon_stack`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from inyeon_stack import kafka_jars
from inyeon_stack.errors import EngineMissing, PortTaken, StackError
from inyeon_stack.places import stack_folder
from inyeon_stack.postgres import find_programs
from inyeon_stack.settings import read_settings
from inyeon_stack.stack import ENGINES, Report, Stack
from inyeon_stack.triton_place import find_place

T = TypeVar("T")

FAILED = 1
NOT_RUNNING = 3

OTHER_PORTS = (
    "other ports by STACK_KAFKA_PORT, STACK_POSTGRES_PORT, STACK_TRITON_PORT, "
    "STACK_TRITON_HTTP_PORT and STACK_TRITON_METRICS_PORT (0: any free one)"
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=f"Kafka, PostgreSQL and Triton as plain processes on 127.0.0.1; {OTHER_PORTS}. "
    "STACK_KAFKA_NODES=3 makes a cluster.",
)
PREPARE: dict[str, Callable[[], object]] = {
    "kafka": kafka_jars.install,
    "postgresql": find_programs,
    "triton": find_place,
}
Folder = Annotated[Path | None, typer.Option(help="Data, logs, addresses; default build/stack.")]
Repository = Annotated[Path | None, typer.Option(help="Triton's models; FOLDER/repository.")]
Without = Annotated[list[str] | None, typer.Option(help=f"Leave out one of {', '.join(ENGINES)}.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object on stdout.")]


@app.command()
def install() -> None:
    """Brings what the engines need and says which cannot run here; exit code 0 all the same."""
    console = Console()
    for name, prepare in PREPARE.items():
        try:
            prepare()
            console.print(f"{name:10} can run here")
        except EngineMissing as missing:
            console.print(f"{name:10} cannot run here: {missing.reason}", highlight=False)
        except StackError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(FAILED) from None


@app.command()
def up(
    folder: Folder = None,
    repository: Repository = None,
    without: Without = None,
    as_json: AsJson = False,
) -> None:
    """Starts what does not run yet and waits until it serves."""
    console = Console(stderr=as_json)
    stack = _stack(folder, repository, without)
    with console.status("starting the engines"):
        facts = _or_exit(lambda: stack.up(_report(console)))
    if as_json:
        print(json.dumps(facts))
        return
    _show(console, stack)
    console.print(f"addresses: {stack.file}", soft_wrap=True)


@app.command()
def down(folder: Folder = None, as_json: AsJson = False) -> None:
    """Ends what runs; the data stays."""
    console = Console(stderr=as_json)
    stack = _stack(folder, None, None)
    _or_exit(lambda: stack.down(_report(console)))
    if as_json:
        print(json.dumps({"running": []}))


@app.command()
def status(folder: Folder = None, as_json: AsJson = False) -> None:
    """Says what runs; exit code 3 when something does not."""
    stack = _stack(folder, None, None)
    engines = stack.status()
    if as_json:
        print(json.dumps({"engines": [asdict(engine) for engine in engines]}))
    else:
        _show(Console(), stack)
    if not all(engine.running for engine in engines):
        raise typer.Exit(NOT_RUNNING)


def _stack(folder: Path | None, repository: Path | None, without: list[str] | None) -> Stack:
    for name in without or []:
        if name not in ENGINES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(ENGINES)}")
    where = (folder or stack_folder()).resolve()
    settings = _or_exit(lambda: read_settings(os.environ))
    return Stack(where, settings, repository or where / "repository", without or [])


def _or_exit(call: Callable[[], T]) -> T:
    try:
        return call()
    except StackError as error:
        hint = f": {OTHER_PORTS}" if isinstance(error, PortTaken) else ""
        typer.echo(f"{error}{hint}", err=True)
        raise typer.Exit(FAILED) from None


def _report(console: Console) -> Report:
    return lambda engine, what: console.print(f"{engine:10} {what}", highlight=False)


def _show(console: Console, stack: Stack) -> None:
    table = Table("engine", "", "addresses", "pid", "RSS")
    table.add_column("log", overflow="fold")
    for engine in stack.status():
        state = "[green]runs" if engine.running else "[red]does not run"
        addresses = "\n".join(engine.addresses) if engine.running else ""
        pids = " ".join(str(pid) for pid in engine.pids)
        size = f"{engine.rss_mb} MB" if engine.running else ""
        table.add_row(
            engine.engine, state, addresses, pids, size, "\n".join(map(_short, engine.logs))
        )
    console.print(table)


def _short(path: str) -> str:
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
