"""What the commands under `inyeon matching scores` do: one call of ScoreService each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import typer
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rich.console import Console
from rich.table import Table

from inyeon.cli.matching.records import AWAY, REFUSED, refuse
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc

CALL_S = 10.0
"""A word is one transaction, which may be tried four times for 2 s."""
_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reach:
    """Where matching is and who asks."""

    server: str
    """host:port."""
    token: str
    """An access token with the role operator."""
    ca: Path | None = None
    """Roots for TLS; None: in the clear, to this machine only."""
    as_json: bool = False


def call(reach: Reach, method: str, request: Message) -> Any:
    """The answer. Exits with REFUSED and reason and field, or with AWAY."""
    metadata = (("authorization", f"Bearer {reach.token}"),)
    with _channel(reach) as channel:
        stub = matching_pb2_grpc.ScoreServiceStub(channel)
        try:
            return getattr(stub, method)(request, metadata=metadata, timeout=CALL_S)
        except grpc.RpcError as error:
            _give_up(error)


def show(reach: Reach, answer: matching_pb2.ListScoresResponse) -> None:
    """Versions, and for each pool what is in force, what an experiment shows and what was said."""
    if reach.as_json:
        typer.echo(json.dumps(MessageToDict(answer), sort_keys=True))
        return
    console = Console()
    versions = Table("version", "meeting", "weights", "note", title="Versions")
    for one in answer.versions:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in sorted(one.weights.items()))
        versions.add_row(one.version, f"{one.meeting:g}", weights, one.note)
    console.print(versions)
    if answer.registry_trouble:
        console.print(f"the registry cannot be read: {answer.registry_trouble}", highlight=False)
    for pool in answer.pools:
        _show_pool(console, pool)


def tell(reach: Reach, answer: Message) -> None:
    """Of a word that was said."""
    facts = MessageToDict(answer)
    if reach.as_json:
        typer.echo(json.dumps(facts, sort_keys=True))
    else:
        typer.echo(", ".join(f"{name}: {value}" for name, value in sorted(facts.items())))


def guardrail(text: str) -> matching_pb2.Guardrail:
    """Of `metric=tolerance` or `metric=tolerance:floor`. Exits with REFUSED."""
    metric, _, numbers = text.partition("=")
    tolerance, _, floor = numbers.partition(":")
    try:
        return matching_pb2.Guardrail(
            metric=metric, tolerance=float(tolerance), floor=float(floor or 0)
        )
    except ValueError:
        refuse("GUARDRAIL", f"{text!r} is not metric=tolerance or metric=tolerance:floor")


def _show_pool(console: Console, pool: matching_pb2.PoolScore) -> None:
    before = f", before it {', '.join(reversed(pool.before))}" if pool.before else ""
    console.print(f"\npool {pool.pool}: {pool.version}{before}", highlight=False)
    if pool.trouble:
        console.print(f"  not understood here: {pool.trouble}", highlight=False)
    if pool.HasField("experiment"):
        _show_experiment(console, pool.experiment)
    for word in pool.history[:SHOWN]:
        what = word.experiment or ", ".join(word.versions)
        at = word.said_at.ToDatetime().isoformat(" ", "seconds")
        line = f"  {at}  {word.verb} {what}  {word.said_by}  {word.note}"
        console.print(line.rstrip(), highlight=False, markup=False)


def _show_experiment(console: Console, found: matching_pb2.Experiment) -> None:
    state = f"runs, now {found.arm or 'between windows'}" if found.running else "is over"
    done = f"{found.blocks_done} of {found.blocks} blocks"
    console.print(f"  experiment {found.name} {state}; {done}", highlight=False)
    if found.effects:
        table = Table("metric", "control", "candidate minus control", "95 % from", "to")
        for one in found.effects:
            numbers = (one.control, one.value, one.low, one.high)
            table.add_row(one.metric, *(f"{number:.4g}" for number in numbers))
        console.print(table)


def _channel(reach: Reach) -> grpc.Channel:
    if reach.ca is not None:
        try:
            roots = reach.ca.read_bytes()
        except OSError as error:
            refuse("FILE_UNREADABLE", f"{reach.ca}: {error}")
        return grpc.secure_channel(reach.server, grpc.ssl_channel_credentials(roots))
    if not _is_here(reach.server):
        refuse("TOKEN_IN_THE_CLEAR", f"{reach.server} is not this machine: --ca FILE, or a tunnel")
    return grpc.insecure_channel(reach.server)


def _is_here(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _give_up(error: grpc.RpcError) -> None:
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = error.details() if isinstance(error, grpc.Call) else str(error)
    typer.echo(f"{_reason(error) or code.name}: {details}", err=True)
    raise typer.Exit(AWAY if code in _AWAY else REFUSED) from None


def _reason(error: grpc.RpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    details: Sequence[PackedAny] = () if status is None else status.details
    return next((str(info.reason) for one in details if one.Unpack(info)), "")
