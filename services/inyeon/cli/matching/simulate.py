"""What `inyeon matching simulate` and `calibrate` do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

from inyeon.matching.simulation.calibrating import calibrate as aggregates
from inyeon.matching.simulation.calibration import shipped
from inyeon.matching.simulation.refusals import SimulationRefused
from inyeon.matching.simulation.scenario import (
    Policy,
    Scenario,
    read_policies,
    read_scenario,
    shipped_policies,
    shipped_scenario,
)
from inyeon.matching.simulation.simulating import Progress, simulate

REFUSED = 2
"""Exit code of wrong arguments and files."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Arguments of a simulation."""

    scenario: str
    scenario_file: Path | None
    policies: Sequence[str]
    policies_file: Path | None
    seed: int
    duration_s: float | None
    out: Path | None
    as_json: bool


def run_simulate(wanted: Wanted) -> None:
    """Runs, reports and prints. Raises Exit with REFUSED for what cannot be taken."""
    with _refusals():
        crowd = _scenario(wanted.scenario, wanted.scenario_file, wanted.duration_s)
        chosen = _policies(wanted.policies_file, wanted.policies)
    console = Console(stderr=True)
    with Bar(console=console, transient=True) as bar:
        facts = simulate(crowd, chosen, shipped(), wanted.seed, _progress(bar))
    if wanted.out is not None:
        _report(facts, wanted.out)
        console.print(f"SIMULATED: report in {wanted.out}", highlight=False)
    if wanted.as_json:
        typer.echo(json.dumps(facts, sort_keys=True))
    else:
        _print(facts)


def run_calibrate(data: Path, out: Path | None) -> None:
    """Writes the aggregates. Raises Exit with REFUSED where the data is not as expected."""
    try:
        text = json.dumps(aggregates(data), indent=2) + "\n"
    except (OSError, KeyError, ValueError, StopIteration) as error:
        _refuse("DATA", f"not the data that was expected: {error}")
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")


def _report(facts: Mapping[str, Any], out: Path) -> None:
    from inyeon.cli.matching.report import html_report  # plots take a second to import

    try:
        out.write_text(html_report(facts), "utf-8")
    except OSError as error:
        _refuse("out", f"{out} cannot be written: {error}")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except SimulationRefused as error:
        _refuse(error.field, str(error))


def _refuse(field: str, message: str) -> NoReturn:
    typer.echo(f"SIMULATION_REFUSED ({field}): {message}", err=True)
    raise typer.Exit(REFUSED) from None


def _scenario(name: str, path: Path | None, duration_s: float | None) -> Scenario:
    found = _named(name) if path is None else read_scenario(_json("scenario-file", path))
    if duration_s is None:
        return found
    changed = {**dataclasses.asdict(found), "duration_s": duration_s, "routes": list(found.routes)}
    return read_scenario(changed)


def _named(name: str) -> Scenario:
    try:
        return shipped_scenario(name)
    except SimulationRefused as error:
        raise SimulationRefused("scenario", f"{name!r} is {error}") from None


def _policies(path: Path | None, names: Sequence[str]) -> tuple[Policy, ...]:
    all_of = shipped_policies() if path is None else read_policies(_json("policies-file", path))
    known = [one.name for one in all_of]
    for name in names:
        if name not in known:
            raise SimulationRefused("policy", f"{name!r} is unknown; known: {', '.join(known)}")
    return tuple(one for one in all_of if not names or one.name in names)


def _json(field: str, path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SimulationRefused(field, f"{path} cannot be read: {error}") from None


def _progress(bar: Bar) -> Progress:
    tasks: dict[str, Any] = {}

    def hear(name: str, share: float) -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(f"SIMULATED {name}", total=1.0)
        bar.update(tasks[name], completed=share)

    return hear


def _print(facts: Mapping[str, Any]) -> None:
    title = (
        f"SIMULATED: {facts['scenario']['name']}, {facts['people']} people, seed {facts['seed']}"
    )
    table = Table(title=title)
    heads = ("policy", "matched", "p50 s", "p90 s", "p99 s", "liked", "Gini", "broken")
    for place, head in enumerate(heads):
        justify: Literal["left", "right"] = "right" if place else "left"
        table.add_column(head, justify=justify, no_wrap=True, min_width=len(head))
    for one in facts["policies"]:
        table.add_row(*_cells(one))
    Console().print(table)


def _cells(one: Mapping[str, Any]) -> list[str]:
    waits = [one[name] for name in ("wait_p50_s", "wait_p90_s", "wait_p99_s")]
    return [
        one["policy"]["name"],
        f"{one['matched_share']:.1%}",
        *("-" if wait is None else f"{wait:.1f}" for wait in waits),
        f"{one['mutual_share']:.1%}",
        f"{one['gini']['wait_by_language']:.3f}",
        str(one["broken_gates"]),
    ]
