"""What `inyeon matching` offers. The work is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inyeon.cli.matching.scores import scores

matching = typer.Typer(no_args_is_help=True, help="Simulate, replay and judge waves.")
matching.add_typer(scores, name="scores")


@matching.command()
def simulate(
    scenario: Annotated[str, typer.Option(help="Name of a scenario that comes along.")] = "evening",
    scenario_file: Annotated[
        Path | None, typer.Option(help="A scenario of your own, instead.", dir_okay=False)
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Only this policy; may be given several times.")
    ] = None,
    policies_file: Annotated[
        Path | None, typer.Option(help="Policies of your own, instead.", dir_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 7,
    duration_s: Annotated[float | None, typer.Option(help="Instead of the scenario's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML report with plots.", dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Pairs a SIMULATED crowd under several policies and compares them."""
    from inyeon.cli.matching.simulate import Wanted, run_simulate

    run_simulate(
        Wanted(scenario, scenario_file, policy or (), policies_file, seed, duration_s, out, as_json)
    )


@matching.command()
def calibrate(
    data: Annotated[
        Path, typer.Argument(help="Folder with the reciprocal data.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="File; else stdout.", dir_okay=False)] = None,
) -> None:
    """Makes the simulator's aggregates from public data: shares and means, nobody's row."""
    from inyeon.cli.matching.simulate import run_calibrate

    run_calibrate(data, out)


@matching.command()
def lengths(
    out: Annotated[
        Path, typer.Option(help="File for INYEON_MATCHING_LENGTH_MODEL.", dir_okay=False)
    ],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of an embedded log; else as the settings say.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Learns from the log how long two will talk; writes the model where it beats a constant."""
    from inyeon.cli.matching.lengths import run_lengths

    run_lengths(data_dir, out, as_json=as_json)


@matching.command()
def replay(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of an embedded log; else as the settings say.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Records that --save wrote, instead.", dir_okay=False)
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also write the records to a file.", dir_okay=False)
    ] = None,
    pool: Annotated[str | None, typer.Option(help="Only this pool.")] = None,
    any_engine: Annotated[
        bool, typer.Option(help="Also compare what another version of the engine decided.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Does recorded waves again and says where their pairs differ."""
    from inyeon.cli.matching.replay import Wanted, run_replay

    run_replay(Wanted(data_dir, file, save, pool, any_engine, as_json))


@matching.command()
def evaluate(
    version: Annotated[str, typer.Argument(help="The candidate.", show_default=False)],
    registry: Annotated[
        Path | None,
        typer.Option(help="File of versions that has it; else as it was explored.", dir_okay=False),
    ] = None,
    reward: Annotated[
        str, typer.Option(help="long, seconds (at most 600), or unreported.")
    ] = "long",
    long_s: Annotated[float, typer.Option(min=0, help="From when on one is long.")] = 60.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of an embedded log; else as the settings say.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Records that --save wrote, instead.", dir_okay=False)
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also write the records to a file.", dir_okay=False)
    ] = None,
    pool: Annotated[str | None, typer.Option(help="Only this pool.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
) -> None:
    """Estimates from waves that explored what another version of the score would have earned."""
    from inyeon.cli.matching.evaluate import Wanted, run_evaluate
    from inyeon.cli.matching.records import Source

    source = Source(data_dir, file, save)
    run_evaluate(Wanted(version, source, registry, reward, long_s, pool, as_json))
