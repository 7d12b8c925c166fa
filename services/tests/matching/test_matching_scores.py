"""Operators activate versions of the score and take them back, over gRPC, on a real service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from inyeon.cli.app import app
from inyeon.matching.adapters.score_models import write_registry
from inyeon.matching.domain.score_models import Registry, ScoreModel
from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.log.envelope import is_type
from inyeon.runtime.log.topics import MATCHES
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2 as pb
from inyeon_protos.matching.v1.matching_pb2_grpc import ScoreServiceStub

pytestmark = pytest.mark.integration

B = ScoreModel("b", 0.5, {"interests": 1.0}, "spring")
C = ScoreModel("c", 0.5, {"waiting": 1.0})


class Operator:
    """Calls ScoreService with a role."""

    def __init__(self, stage: Any, role: str = "operator") -> None:
        token = stage.issuer.issue(
            "op-1", audience_of("matching"), age_band=AgeBand.ADULT, roles=[role]
        )
        self.token = token
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}")
        self._stub: Any = ScoreServiceStub(self._channel)

    async def call(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=5)

    async def refused(self, method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.call(method, **fields)
        return refused.value.code(), str(dict(refused.value.trailing_metadata() or ()))

    async def close(self) -> None:
        await self._channel.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scores.json"
    write_registry(path, Registry().added(B).added(C))
    return path


@pytest.fixture
async def stage(stages: Callable[..., Coroutine[Any, Any, Any]], file: Path) -> Any:
    return await stages(scores_file=file, min_similarity=0.0)


@pytest.fixture
async def operator(stage: Any) -> AsyncIterator[Operator]:
    made = Operator(stage)
    yield made
    await made.close()


async def score_of_the_next_match(
    stage: Any, wish: Any, *names: str, propensity: float = 1.0
) -> str:
    devices = [await stage.device(name).open() for name in names]
    for device in devices:
        device.keep_beating()
        await device.seek(wish())
    heard = await devices[0].hear("matched")
    reader = await stage.log.read_all([MATCHES])
    async with asyncio.timeout(10):
        while True:
            for record in await reader.poll(100, 0.1):
                live = events_pb2.MatchLive.FromString(record.value or b"")
                if live.match_id == heard.match_id and is_type(record, events_pb2.MatchLive):
                    assert live.propensity == propensity
                    return str(live.score_version)


async def test_a_version_counts_over_a_restart_and_a_lost_file_until_it_is_rolled_back(
    stage: Any, operator: Operator, file: Path, wish: Any
) -> None:
    listed = await operator.call("ListScores")
    assert [one.version for one in listed.versions] == ["linear-1", "b", "c"]
    assert listed.versions[1].weights == {"interests": 1.0} and listed.versions[1].note == "spring"
    said = await operator.call("ActivateScore", pool="main", version="b", note="try")
    assert said.version == "b"
    await operator.call("ActivateScore", pool="*", version="c")
    await stage.kill()
    await asyncio.to_thread(file.unlink)
    await stage.start()
    assert await score_of_the_next_match(stage, wish, "ana", "bob") == "c"
    again = Operator(stage)
    listed = await again.call("ListScores")
    (pool,) = listed.pools
    assert (pool.version, list(pool.before)) == ("c", ["b"])
    assert "scores.json" in listed.registry_trouble
    assert stage.metrics.get_sample_value("inyeon_matching_score_trouble", {"pool": "main"}) == 1
    assert (await again.call("RollBackScore", pool="main", note="worse")).version == "b"
    (pool,) = (await again.call("ListScores")).pools
    assert [(w.verb, w.pool, list(w.versions), w.said_by, w.note) for w in pool.history] == [
        ("roll-back", "main", [], "op-1", "worse"),
        ("activate", "*", ["c"], "op-1", ""),
        ("activate", "main", ["b"], "op-1", "try"),
    ]
    await again.close()


async def test_what_cannot_be_is_refused_with_reason_and_field(
    stage: Any, operator: Operator, file: Path
) -> None:
    main = {"pool": "main"}
    code, why = await operator.refused("ActivateScore", **main, version="z")
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "UNKNOWN_VERSION" in why, why
    code, why = await operator.refused("RollBackScore", **main)
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "NOTHING_BEFORE" in why
    code, why = await operator.refused("ActivateScore", pool="moon", version="b")
    assert code is grpc.StatusCode.NOT_FOUND and "POOL_UNKNOWN" in why
    await asyncio.to_thread(file.write_text, "{")
    code, why = await operator.refused("ActivateScore", **main, version="b")
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "scores.json" in why
    reviewer = Operator(stage, "reviewer")
    for method in ("ListScores", "ActivateScore", "RollBackScore"):
        fields = {} if method == "ListScores" else main | {"version": "b"}
        fields = main if method == "RollBackScore" else fields
        code, _ = await reviewer.refused(method, **fields)
        assert code is grpc.StatusCode.PERMISSION_DENIED
    await reviewer.close()


async def test_an_experiment_runs_says_what_it_shows_and_is_stopped(
    stage: Any, operator: Operator, wish: Any
) -> None:
    plan: dict[str, Any] = {
        "pool": "main",
        "name": "less-waiting",
        "control": "linear-1",
        "candidate": "b",
        "window": timedelta(minutes=10),
        "burn_in": timedelta(0),
        "blocks": 6,
    }
    begun = await operator.call("StartExperiment", **plan, note="autumn")
    assert begun.number == 1
    lasts = begun.ends_at.ToDatetime(UTC) - datetime.now(UTC)
    assert lasts.total_seconds() == pytest.approx(7_200, abs=60)
    arm = await score_of_the_next_match(stage, wish, "ana", "bob", propensity=0.5)
    (pool,) = (await operator.call("ListScores")).pools
    shown = pool.experiment
    assert (shown.running, shown.arm, list(shown.arms)) == (True, arm, ["linear-1", "b"])
    assert [rail.metric for rail in shown.guardrails] == [
        "match_rate",
        "wait_p99_s",
        "reports_per_match",
    ]
    assert pool.version == "linear-1" and pool.history[0].experiment == "less-waiting"
    for method, fields in (("StartExperiment", plan), ("ActivateScore", {"version": "b"})):
        code, why = await operator.refused(method, **{"pool": "main"} | fields)
        assert code is grpc.StatusCode.FAILED_PRECONDITION and "EXPERIMENT_RUNS" in why
    assert (await operator.call("StopExperiment", pool="main")).version == "linear-1"
    (pool,) = (await operator.call("ListScores")).pools
    assert not pool.experiment.running and pool.experiment.name == "less-waiting"
    code, why = await operator.refused("StopExperiment", pool="main")
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "NO_EXPERIMENT" in why
    for change, reason in (
        ({"candidate": "z"}, "UNKNOWN_VERSION"),
        ({"candidate": "linear-1"}, "ARMS"),
        ({"window": timedelta(seconds=59)}, "WINDOW"),
        ({"burn_in": timedelta(minutes=6)}, "BURN_IN"),
        ({"blocks": 5}, "OUT_OF_RANGE"),
        ({"guardrails": [pb.Guardrail(metric="charm")]}, "METRIC"),
        ({"guardrails": [pb.Guardrail(metric="match_rate", floor=float("inf"))]}, "TOLERANCE"),
    ):
        code, why = await operator.refused("StartExperiment", **plan | change)
        assert code is grpc.StatusCode.INVALID_ARGUMENT and reason in why, (reason, why)


async def test_the_same_by_commands(stage: Any, operator: Operator, file: Path) -> None:
    def run(*arguments: str, server: str = f"127.0.0.1:{stage.port}") -> Any:
        env = {"INYEON_OPERATOR_TOKEN": operator.token}
        command = ["matching", "scores", *arguments, "--server", server]
        return CliRunner(env=env).invoke(app, command)

    def facts(*arguments: str) -> Any:
        told = run(*arguments, "--json")  # the service of this process logs to stdout, too
        return json.loads(told.stdout.splitlines()[-1])

    def all_of_it() -> None:
        assert "version: b" in run("activate", "main", "b", "--note", "try").stdout
        assert facts("roll-back", "main") == {"version": "linear-1"}
        plan = ("start", "main", "autumn", "--control", "linear-1", "--candidate", "c")
        assert facts(*plan, "--guard", "match_rate=0.05:0.01")["number"] == "3"
        shown = run("list").stdout
        assert "experiment autumn runs, now " in shown and "0 of 24 blocks" in shown
        assert "activate b  op-1  try" in shown and "interests 1" in shown
        refused = run(*plan)
        assert refused.exit_code == 2 and "EXPERIMENT_RUNS: " in refused.stderr
        assert "GUARDRAIL" in run(*plan, "--guard", "match_rate").stderr
        assert run("stop", "main").exit_code == 0
        file.unlink()
        listed = run("list")
        assert "the registry cannot be read" in listed.stdout and "autumn is over" in listed.stdout
        assert facts("list")["pools"][0]["pool"] == "main"
        assert "TOKEN_IN_THE_CLEAR" in run("list", server="192.0.2.1:7400").stderr
        assert "FILE_UNREADABLE" in run("list", "--ca", str(file)).stderr
        away = run("list", server="127.0.0.1:1")
        assert away.exit_code == 3 and "UNAVAILABLE" in away.stderr

    await asyncio.to_thread(all_of_it)
