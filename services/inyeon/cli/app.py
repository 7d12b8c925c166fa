"""Commands of `inyeon`."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from inyeon.cli.inference import inference
from inyeon.cli.log import log
from inyeon.cli.matching.commands import matching
from inyeon.cli.roles import BUILDERS, ROLES, builders
from inyeon.runtime.loop import collect_less
from inyeon.runtime.loop import run as run_loop

REFUSED = 2
"""Exit code when settings, files or ports do not let the process start."""
STACK_FILE = Path("build/stack/stack.json")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # logs are read by machines too
    help="The Inyeon platform.",
)
app.add_typer(inference, name="inference")
app.add_typer(log, name="log")
app.add_typer(matching, name="matching")


@app.command()
def up(
    stack: Annotated[
        bool, typer.Option("--stack", help="Every service a process, on the engines of make stack.")
    ] = False,
    stack_file: Annotated[Path, typer.Option(help="With --stack: addresses of the engines.")] = (
        STACK_FILE
    ),
    replicas: Annotated[
        list[str] | None, typer.Option(help="With --stack: role=n; may be given several times.")
    ] = None,
    free_ports: Annotated[bool, typer.Option(help="With --stack: any free ports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --stack: addresses on stdout.")] = (
        False
    ),
) -> None:
    """Runs every service on this machine, in one process or, with --stack, each in its own."""
    if not stack:
        _run(tuple(BUILDERS))
    from inyeon.cli.cluster.run import ClusterOptions, run_cluster

    options = ClusterOptions(stack_file, tuple(replicas or ()), free_ports, as_json)
    _exit(lambda: run_cluster(options, tuple(ROLES)))


@app.command()
def serve(
    role: Annotated[str, typer.Argument(help=f"One of {', '.join(ROLES)}.")],
) -> None:
    """Runs one service, or one worker."""
    if role not in ROLES:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(ROLES)}")
    _run((role,))


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="End when the story ends.")] = False,
    seed: Annotated[int, typer.Option(help="Chooses what is said.")] = 7,
    free_ports: Annotated[bool, typer.Option(help="Take any free ports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object a step on stdout.")] = False,
    picture: Annotated[Path | None, typer.Option(help="SVG file for the closing view.")] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="On `inyeon up --stack` and running engines.")
    ] = False,
    stack_file: Annotated[Path, typer.Option(help="With --stack: addresses of the engines.")] = (
        STACK_FILE
    ),
) -> None:
    """Runs the platform and three agents on real clips and watches what happens."""
    from inyeon.cli.demo.run import DemoOptions, run_demo

    models_dir = Path(os.environ.get("INYEON_MODELS_DIR", "build/models")).resolve()
    if not (models_dir / "index.json").exists():
        raise typer.BadParameter(f"no models in {models_dir}: run `make models` first")
    if stack and not stack_file.exists():
        raise typer.BadParameter(f"no stack file {stack_file}: run `make stack` first")
    options = DemoOptions(
        once, seed, as_json, models_dir, free_ports, picture, stack_file if stack else None
    )
    raise typer.Exit(run_loop(run_demo(options)))


def _run(roles: tuple[str, ...]) -> NoReturn:
    from inyeon.runtime.harness import run
    from inyeon.runtime.settings import RuntimeSettings

    _exit(lambda: run(builders(roles), RuntimeSettings(), started=lambda _: collect_less()))


def _exit(run: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """With the code that running returns; with REFUSED and the reason for what we refuse."""
    from inyeon.runtime.errors import InyeonError

    try:
        status = run_loop(run())
    except InyeonError as error:
        where = f" ({error.field})" if error.field else ""
        typer.echo(f"{error.reason}{where}: {error}", err=True)
        raise typer.Exit(REFUSED) from None
    raise typer.Exit(status)
