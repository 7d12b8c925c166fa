"""Turns pinned public packages into model files, and proves that they are right."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from inyeon_models import paths, train_cli
from inyeon_models.agreement import agreement_table
from inyeon_models.build import Builder
from inyeon_models.errors import ModelsError
from inyeon_models.fetch import Cache, PackageManagers
from inyeon_models.manifest import load
from inyeon_models.overlap import overlap_table
from inyeon_models.recall import Row, choose, recall_table
from inyeon_models.terminal import BarProgress
from inyeon_models.verify import Check, Verifier

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.add_typer(train_cli.app, name="train")

Only = Annotated[list[str] | None, typer.Option("--only", help="Name of a product; repeatable")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the built files")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (INYEON_DATA)")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout")]


@app.command()
def build(only: Only = None, out: Out = None, as_json: AsJson = False) -> None:
    """Fetch pinned packages and make every file that is not up to date."""
    console = Console(stderr=True)
    folder = out or paths.default_out()
    with BarProgress(console) as progress:
        cache = Cache(paths.default_cache(), PackageManagers())
        builder = Builder(load(paths.MANIFEST), cache, folder, paths.PHRASES, progress)
        built = builder.run(tuple(only or ()))
    if as_json:
        files = [
            {**entry.document(), "fresh": entry.name in built.fresh} for entry in built.entries
        ]
        _print_json({"folder": str(folder), "files": files})
    else:
        old = len(built.entries) - len(built.fresh)
        console.print(f"{len(built.fresh)} made, {old} up to date in {folder}")


@app.command()
def verify(only: Only = None, out: Out = None, as_json: AsJson = False) -> None:
    """Compare every built file with its reference; exit code 1 where one is too far away."""
    cache = Cache(paths.default_cache(), PackageManagers())
    folder = out or paths.default_out()
    verifier = Verifier(load(paths.MANIFEST), cache, folder, paths.GOLDEN, paths.PHRASES)
    checks = list(verifier.run(tuple(only or ())))
    if as_json:
        _print_json({"checks": [_check_document(check) for check in checks]})
    else:
        Console().print(_checks_table(checks))
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@app.command()
def recall(out: Out = None, data: Data = None, as_json: AsJson = False) -> None:
    """Find translations with reduced interest embeddings: the table behind their dimensions."""
    rows = recall_table(out or paths.default_out(), paths.PHRASES, data or paths.default_data())
    if as_json:
        _print_json({"chosen": choose(rows), "rows": [row.document() for row in rows]})
    else:
        Console().print(_recall_table(rows))


@app.command()
def overlap(out: Out = None, data: Data = None, as_json: AsJson = False) -> None:
    """Find the same neighbours with reduced content embeddings, on pictures the fit never saw."""
    rows = overlap_table(out or paths.default_out(), data or paths.default_data())
    if as_json:
        _print_json({"rows": [row.document() for row in rows]})
        return
    table = Table("pictures of", "count", "overlap@10", "variance kept")
    for row in rows:
        figures = (f"{row.overlap_at_10:.3f}", f"{row.variance_kept:.3f}")
        table.add_row(row.pictures_of, str(row.count), *figures)
    Console().print(table)


@app.command()
def agreement(out: Out = None, data: Data = None, as_json: AsJson = False) -> None:
    """Compare the head on the embedding with the classifier, on pictures the fit never saw."""
    rows = agreement_table(out or paths.default_out(), data or paths.default_data())
    if as_json:
        _print_json({"rows": [row.document() for row in rows]})
        return
    table = Table("pictures of", "count", "same class", "apart: mean", "most", "other side of 0.5")
    for row in rows:
        figures = (row.same_class, row.mean_apart, row.most_apart, row.other_side)
        table.add_row(row.pictures_of, str(row.count), *(f"{value:.3f}" for value in figures))
    Console().print(table)


def run() -> int:
    """Run the commands; an expected error is one line on stderr and exit code 1."""
    try:
        app()
    except ModelsError as error:
        Console(stderr=True).print(f"inyeon-models: {error}", style="red", markup=False)
        return 1
    return 0


def _print_json(document: dict[str, object]) -> None:
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def _check_document(check: Check) -> dict[str, object]:
    return {
        "file": check.name,
        "against": check.against,
        "distance": check.distance,
        "bound": check.bound,
        "passed": check.passed,
        "problem": check.problem,
    }


def _checks_table(checks: list[Check]) -> Table:
    table = Table("file", "against", "distance", "bound", "")
    for check in checks:
        verdict = "[green]ok[/]" if check.passed else f"[red]{check.problem or 'too far'}[/]"
        numbers = (f"{check.distance:.1e}", f"{check.bound:.1e}")
        table.add_row(check.name, check.against, *numbers, verdict)
    return table


def _recall_table(rows: tuple[Row, ...]) -> Table:
    table = Table("dims", "sent as", "bytes", "recall@1", "recall@10", "worst pair", "")
    for row in rows:
        table.add_row(
            str(row.dims),
            row.encoding,
            str(row.size_bytes),
            f"{row.recall_at_1:.3f}",
            f"{row.recall_at_10:.3f}",
            f"{row.worst_pair} {row.worst_recall_at_10:.3f}",
            "chosen" if row.chosen else "",
        )
    return table
