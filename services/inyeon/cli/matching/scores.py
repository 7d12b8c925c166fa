"""`inyeon matching scores`: operators choose versions of the score and run experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inyeon.cli.matching.operating import Reach

scores = typer.Typer(no_args_is_help=True, help="Versions of the score, and experiments.")

Server = Annotated[str, typer.Option(help="gRPC of a matching replica.")]
Token = Annotated[str, typer.Option(envvar="INYEON_OPERATOR_TOKEN", help="With the role operator.")]
Roots = Annotated[
    Path | None, typer.Option(help="Certificates for TLS; else this machine only.", dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One object on stdout.")]
Pool = Annotated[str, typer.Argument(help="A pool; '*': every pool.", show_default=False)]
Note = Annotated[str, typer.Option(help="Why, for the history.")]
HERE = "127.0.0.1:7400"


@scores.command(name="list")
def list_scores(
    token: Token, server: Server = HERE, ca: Roots = None, as_json: AsJson = False
) -> None:
    """Versions, and what is in force in each pool, what an experiment shows and what was said."""
    from inyeon.cli.matching.operating import call, show
    from inyeon_protos.matching.v1 import matching_pb2

    reach = _reach(server, token, ca, as_json)
    show(reach, call(reach, "ListScores", matching_pb2.ListScoresRequest()))


@scores.command()
def activate(
    pool: Pool,
    version: Annotated[str, typer.Argument(help="Of the registry.", show_default=False)],
    token: Token,
    note: Note = "",
    server: Server = HERE,
    ca: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Makes a version count, within a second."""
    from inyeon.cli.matching.operating import call, tell
    from inyeon_protos.matching.v1 import matching_pb2

    reach = _reach(server, token, ca, as_json)
    request = matching_pb2.ActivateScoreRequest(pool=pool, version=version, note=note)
    tell(reach, call(reach, "ActivateScore", request))


@scores.command(name="roll-back")
def roll_back(
    pool: Pool,
    token: Token,
    note: Note = "",
    server: Server = HERE,
    ca: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Makes the version before count again; ends an experiment."""
    from inyeon.cli.matching.operating import call, tell
    from inyeon_protos.matching.v1 import matching_pb2

    reach = _reach(server, token, ca, as_json)
    request = matching_pb2.RollBackScoreRequest(pool=pool, note=note)
    tell(reach, call(reach, "RollBackScore", request))


@scores.command()
def start(
    pool: Pool,
    name: Annotated[str, typer.Argument(help="Of the experiment.", show_default=False)],
    token: Token,
    control: Annotated[str, typer.Option(help="Version to compare with.")],
    candidate: Annotated[str, typer.Option(help="The other version.")],
    window_s: Annotated[float, typer.Option(min=60, help="Length of a window.")] = 1_800.0,
    burn_in_s: Annotated[float, typer.Option(min=0, help="Not counted of each.")] = 300.0,
    blocks: Annotated[int, typer.Option(min=6, max=1_000, help="Pairs of windows.")] = 24,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="metric=tolerance or metric=tolerance:floor; else the usual three."),
    ] = None,
    note: Note = "",
    server: Server = HERE,
    ca: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Begins a switchback between two versions, now."""
    from inyeon.cli.matching.operating import call, guardrail, tell
    from inyeon.matching.adapters.wire import duration
    from inyeon_protos.matching.v1 import matching_pb2

    reach = _reach(server, token, ca, as_json)
    request = matching_pb2.StartExperimentRequest(
        pool=pool,
        name=name,
        control=control,
        candidate=candidate,
        window=duration(window_s),
        burn_in=duration(burn_in_s),
        blocks=blocks,
        guardrails=[guardrail(text) for text in guard or ()],
        note=note,
    )
    tell(reach, call(reach, "StartExperiment", request))


@scores.command()
def stop(
    pool: Pool,
    token: Token,
    note: Note = "",
    server: Server = HERE,
    ca: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Ends an experiment; what counted before it counts again."""
    from inyeon.cli.matching.operating import call, tell
    from inyeon_protos.matching.v1 import matching_pb2

    reach = _reach(server, token, ca, as_json)
    request = matching_pb2.StopExperimentRequest(pool=pool, note=note)
    tell(reach, call(reach, "StopExperiment", request))


def _reach(server: str, token: str, ca: Path | None, as_json: bool) -> Reach:
    from inyeon.cli.matching.operating import Reach

    return Reach(server, token, ca, as_json)
