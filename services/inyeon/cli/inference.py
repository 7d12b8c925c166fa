"""`inyeon inference`: the files that a Triton server needs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inyeon.inference.catalogue import Backend

inference = typer.Typer(no_args_is_help=True, help="Heavy models on Triton.")


@inference.callback()
def _group() -> None:
    """Keeps `export` a command of its own while there is only one."""


@inference.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder of the model repository.")],
    backend: Annotated[
        Backend,
        typer.Option(help="onnxruntime: NVIDIA's image; python: tritonserver from the wheel."),
    ] = "onnxruntime",
    models: Annotated[Path | None, typer.Option(help="Folder of `make models`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Writes a Triton model repository from the built models."""
    from inyeon.inference.export import export as write
    from inyeon.runtime.errors import SettingsRefused

    folder = models or Path(os.environ.get("INYEON_MODELS_DIR", "build/models"))
    try:
        exported = write(folder, out, backend)
    except SettingsRefused as error:
        typer.echo(f"{error.reason} ({error.field}): {error}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps({"out": str(out), "models": [asdict(model) for model in exported]}))
        return
    for model in exported:
        typer.echo(f"{model.name:<24} {model.backend:<12} {model.size_bytes / 1e6:8.1f} MB")
    typer.echo(f"written to {out}")
