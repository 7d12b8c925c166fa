"""Commands of `inyeon`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from inyeon.cli.roles import BUILDERS, ROLES, builders

REFUSED = 2
"""Exit code when settings, files or ports do not let the process start."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # logs are read by machines too
    help="The Inyeon platform.",
)


@app.command()
def up() -> None:
    """Runs every service in one process on this machine."""
    _run(tuple(BUILDERS))


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
) -> None:
    """Runs the platform and three agents on real clips and watches what happens."""
    from inyeon.cli.demo.run import DemoOptions, run_demo

    models_dir = Path(os.environ.get("INYEON_MODELS_DIR", "build/models")).resolve()
    if not (models_dir / "index.json").exists():
        raise typer.BadParameter(f"no models in {models_dir}: run `make models` first")
    options = DemoOptions(once, seed, as_json, models_dir, free_ports, picture)
    raise typer.Exit(asyncio.run(run_demo(options)))


def _run(roles: tuple[str, ...]) -> None:
    from inyeon.runtime.errors import InyeonError
    from inyeon.runtime.harness import run
    from inyeon.runtime.settings import RuntimeSettings

    try:
        status = asyncio.run(run(builders(roles), RuntimeSettings()))
    except InyeonError as error:
        where = f" ({error.field})" if error.field else ""
        typer.echo(f"{error.reason}{where}: {error}", err=True)
        raise typer.Exit(REFUSED) from None
    raise typer.Exit(status)
