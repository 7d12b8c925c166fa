"""Waves that explored on a desk, judged afterwards by `inyeon matching evaluate` from the log."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from inyeon.cli.app import app
from inyeon.cli.matching.records import save_records
from inyeon.matching.adapters.decisions import read_records
from inyeon.matching.adapters.frames import ProtoFrames
from inyeon.matching.adapters.score_files import FileScores
from inyeon.matching.adapters.score_metrics import PrometheusScoreMeter
from inyeon.matching.adapters.score_models import write_registry
from inyeon.matching.adapters.score_words import MemoryScoreWords
from inyeon.matching.app.admit import admit
from inyeon.matching.app.end_match import end_match
from inyeon.matching.app.recording import Recorder
from inyeon.matching.app.seek import seek
from inyeon.matching.app.steering import Steer, Trying
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.interests import read_interests
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.score_models import Registry, ScoreModel
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.waves import WaveRules
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.log.topics import DECISIONS, OUTCOMES
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

ALIKE = ScoreModel("alike", 0.1, {"interests": 2.0})
TONGUES = ScoreModel("tongues", 0.1, {"language": 2.0})
REGISTRY = Registry().added(ALIKE).added(TONGUES).activated("tongues")
SPACE = next(iter(synthetic_waiters(1, 1))).ticket.wish.interests.space
WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
WAVES = 12


def interests(topic: int) -> Any:
    steps = np.ones(SPACE.dims, np.int8)
    steps[topic] = 127
    return read_interests(SPACE, np.float32(1 / 127).tobytes() + steps.tobytes())


async def people(scene: Any, wave: int) -> list[str]:
    """Four of two topics and two languages: the versions pair them differently."""
    users = []
    for topic in (0, 1):
        for tag in ("en", "es"):
            user = f"{wave}-{topic}-{tag}"
            both = (SpokenLanguage(tag, 5), SpokenLanguage("ja", 1))
            wish = replace(WISH, languages=both, interests=interests(topic))
            await scene.beat(user)
            await seek(scene.desk, Person(user, AgeBand.ADULT, "US", Gender.OTHER), wish, "s")
            users.append(user)
    await admit(scene.desk, list(scene.desk.hall.on_the_way.values()))
    return users


async def end_all(scene: Any, users: list[str]) -> int:
    """Two of one topic talk for two minutes, others for a few seconds. Returns how many did."""
    long = 0
    for seconds, wanted in ((5.0, False), (115.0, True)):
        await scene.clock.advance(seconds)
        for user in users:
            match = scene.desk.hall.meetings.of_user(user)
            alike = match is not None and len({name.split("-")[1] for name in match.users}) == 1
            if match is not None and alike is wanted:
                long += alike
                await end_match(scene.desk, user, match.match_id, EndReason.LEFT)
    return long


@pytest.fixture
async def saved(scene: Any, tmp_path: Path) -> Path:
    """Records of an evening on which four people came twelve times."""
    file = tmp_path / "scores.json"
    write_registry(file, REGISTRY)
    meter = PrometheusScoreMeter(CollectorRegistry(), "main")
    trying = Trying(0.5, ("alike",))
    steer = Steer(MemoryScoreWords(), FileScores(file), scene.clock, meter, "main", trying)
    scene.desk = replace(
        scene.desk,
        steer=steer,
        recorder=Recorder(ProtoFrames()),
        max_waiting=50,
        rules=WaveRules(patience=Patience(start=0.0)),
    )
    versions = []
    for wave in range(WAVES):
        users = await people(scene, wave)
        await run_wave(scene.desk)
        match = scene.desk.hall.meetings.of_user(users[0])
        assert match is not None and match.chosen.propensity == 0.5
        versions.append(match.chosen.score_version)
        assert await end_all(scene, users) == (2 if versions[-1] == "alike" else 0)
    assert 4 <= versions.count("alike") <= WAVES - 4
    await OutboxRelay(scene.store, scene.log, scene.clock, owner="test").drain()
    records = [record async for record in read_records(scene.log, [DECISIONS, OUTCOMES])]
    await asyncio.to_thread(save_records, tmp_path / "saved.jsonl", records)
    return tmp_path / "saved.jsonl"


def evaluate(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["matching", "evaluate", *arguments])


async def test_both_versions_are_seen_for_what_they_are(saved: Path, tmp_path: Path) -> None:
    def facts(version: str, *more: str) -> Any:
        told = evaluate(version, "--file", str(saved), "--json", *more)
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)

    def all_of_it() -> None:
        alike, tongues = facts("alike"), facts("tongues")
        assert alike["waves"] == WAVES and alike["pairs"] == 2 * WAVES
        assert alike["estimates"]["SNIPS"]["value"] == 1.0
        assert tongues["estimates"]["SNIPS"]["value"] == 0.0
        assert alike["estimates"]["DR, difference"]["low"] > 0
        assert tongues["estimates"]["DR, difference"]["high"] < 0
        assert alike["without_outcome"] == 0 and alike["left_out"] == {}
        scores = str(tmp_path / "scores.json")
        assert facts("alike", "--registry", scores) == alike
        seconds = facts("alike", "--reward", "seconds")["estimates"]["SNIPS"]["value"]
        assert seconds == pytest.approx(120.0)
        assert facts("alike", "--reward", "unreported")["estimates"]["as it was"]["value"] == 1.0
        shown = evaluate("alike", "--file", str(saved), "--pool", "main")
        assert shown.exit_code == 0 and "DR" in shown.stdout and "too thin" in shown.stdout

    await asyncio.to_thread(all_of_it)


async def test_what_cannot_be_answered_says_why(saved: Path, tmp_path: Path) -> None:
    def changed(name: str, change: Callable[[events_pb2.WaveDecided], None]) -> str:
        lines = [json.loads(line) for line in saved.read_text().splitlines()]
        for line in lines:
            if line["topic"] == DECISIONS:
                event = events_pb2.WaveDecided.FromString(base64.b64decode(line["value"]))
                change(event)
                line["value"] = base64.b64encode(event.SerializeToString()).decode()
        (tmp_path / name).write_text("\n".join(map(json.dumps, lines)))
        return str(tmp_path / name)

    def refused(file: str, reason: str, *arguments: str) -> None:
        told = evaluate(*(arguments or ("alike",)), "--file", file)
        assert told.exit_code == 2 and reason in told.stderr, (reason, told.output)

    def other_inputs(event: events_pb2.WaveDecided) -> None:
        event.inputs_digest = b"forged"

    def in_an_experiment(event: events_pb2.WaveDecided) -> None:
        event.experiment = "t"

    def unexplored(event: events_pb2.WaveDecided) -> None:
        event.ClearField("shares")

    def other_engine(event: events_pb2.WaveDecided) -> None:
        event.engine = "linear-0/abc"
        event.ClearField("pair_propensities")

    def garbage(event: events_pb2.WaveDecided) -> None:
        event.inputs = b"?"

    def odd_score(event: events_pb2.WaveDecided) -> None:
        event.shares[0].score = "{}"

    def all_of_it() -> None:
        explore = ("alike", "--registry", str(tmp_path / "scores.json"))
        refused(changed("inputs", other_inputs), f"{WAVES} inputs differ")
        refused(changed("experiment", in_an_experiment), f"{WAVES} in an experiment")
        refused(changed("bare", unexplored), f"{WAVES} did not explore", *explore)
        refused(changed("engine", other_engine), "other engine")
        refused(changed("garbage", garbage), "unreadable")
        refused(changed("odd", odd_score), "SHAPE")
        refused(changed("odd", odd_score), "unreadable", *explore)
        refused(str(saved), "UNKNOWN_VERSION", "charm")
        refused(str(saved), "UNKNOWN_VERSION", "charm", *explore[1:])
        refused(str(saved), "REWARD_UNKNOWN", "alike", "--reward", "charm")
        refused(str(saved), "LENGTH", "tongues", "--pool", "moon", *explore[1:])

    await asyncio.to_thread(all_of_it)
