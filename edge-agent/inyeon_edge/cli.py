"""The `inyeon-edge` command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from inyeon_edge.errors import EdgeError

REFUSED = 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The Inyeon device agent.",
    rich_markup_mode=None,
)


@app.callback()
def main() -> None:
    """The Inyeon device agent: looks on the device, speaks with the platform about it."""


@app.command()
def run(
    source: Annotated[str, typer.Option(help="A video, a picture, drawn:NAME or scenario:...")],
    endpoint: Annotated[str | None, typer.Option(help="host:port of the platform.")] = None,
    moderation_endpoint: Annotated[str | None, typer.Option(help="If elsewhere.")] = None,
    matching_endpoint: Annotated[str | None, typer.Option(help="If elsewhere.")] = None,
    translation_endpoint: Annotated[str | None, typer.Option(help="If elsewhere.")] = None,
    gateway_endpoint: Annotated[str | None, typer.Option(help="If elsewhere.")] = None,
    subject: Annotated[str | None, typer.Option(help="Random subject id.")] = None,
    age_band: Annotated[str | None, typer.Option(help="adult or minor.")] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166-1 alpha-2.")] = None,
    gender: Annotated[str | None, typer.Option(help="female, male, other, unspecified.")] = None,
    languages: Annotated[str | None, typer.Option(help="Like en:5,fr:2, 5 is best.")] = None,
    interests: Annotated[str | None, typer.Option(help="In your words.")] = None,
    name: Annotated[str | None, typer.Option(help="Shown name, never translated.")] = None,
    preview_port: Annotated[
        int | None, typer.Option(help="Preview on 127.0.0.1: 0 any free port, -1 none.")
    ] = None,
    fps: Annotated[int | None, typer.Option(help="Frames a second.")] = None,
    size: Annotated[str | None, typer.Option(help="Picture as sent, WIDTHxHEIGHT.")] = None,
    chat: Annotated[Path | None, typer.Option(help="File of lines to say.")] = None,
    record: Annotated[Path | None, typer.Option(help="File for the picture as sent.")] = None,
    json_events: Annotated[
        bool | None, typer.Option("--json", help="One JSON event a line on stdout.")
    ] = None,
    commands: Annotated[
        bool | None, typer.Option("--commands", help="JSON commands on stdin; its end stops.")
    ] = None,
    again: Annotated[
        bool | None, typer.Option("--again/--once", help="Look again after a match.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the ring.")] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Folder of the built models.")] = None,
) -> None:
    """Runs the agent until it is stopped. Exit code 2: it could not start, and says why."""
    raise typer.Exit(run_with(dict(locals())))


def run_with(given: dict[str, Any]) -> int:
    """Runs with these settings over the environment; returns the exit code."""
    # Waits until here so that --help takes no second.
    from inyeon_edge.agent.report import JsonSink, Report, RichSink
    from inyeon_edge.agent.run import run_agent
    from inyeon_edge.settings import read_settings

    report = Report(JsonSink() if given.get("json_events") else RichSink())
    try:
        settings = read_settings(given)
        if settings.json_events:
            report = Report(JsonSink())
        asyncio.run(run_agent(settings, report))
    except EdgeError as error:
        report.error("FAILED_PRECONDITION", error.reason, error.field, str(error))
        return REFUSED
    return 0
