"""A pool follows what was said and written, and stays on the last good version otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from inyeon.matching.adapters.decisions import DecisionReader, read_decision_records
from inyeon.matching.adapters.frames import ProtoFrames
from inyeon.matching.adapters.score_files import FileScores
from inyeon.matching.adapters.score_metrics import PrometheusScoreMeter
from inyeon.matching.adapters.score_models import write_registry
from inyeon.matching.adapters.score_words import MemoryScoreWords
from inyeon.matching.app.recording import Recorder
from inyeon.matching.app.steering import Steer, Trying
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.replaying import Fate, Replayer
from inyeon.matching.domain.score_models import Registry, ScoreModel
from inyeon.matching.domain.score_words import Experiment, Verb, Word
from inyeon.matching.domain.switchback import Plan
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.store.outbox import OutboxRelay

pytestmark = pytest.mark.unit

B = ScoreModel("b", 0.5, {"interests": 1.0})
C = ScoreModel("c", 0.5, {"waiting": 1.0})
REGISTRY = Registry().added(B).added(C)


class FailingWords(MemoryScoreWords):
    """A store that can be away."""

    away = False

    async def about(self, pool: str) -> tuple[Word, ...]:
        if self.away:
            raise StoreUnavailable("away")
        return await super().about(pool)


@dataclass
class Helm:
    """A steer and what it goes by."""

    steer: Steer
    words: FailingWords
    file: Path
    metrics: CollectorRegistry
    scene: Any

    async def later(self) -> Steer:
        """After the next look."""
        await self.scene.clock.advance(1.0)
        await self.steer.look()
        return self.steer

    async def say(self, verb: Verb, **more: Any) -> None:
        await self.words.say(Word(verb, "main", "op", 0.0, **more))

    def shown(self, name: str, **labels: str) -> float | None:
        return self.metrics.get_sample_value(f"inyeon_matching_{name}", {"pool": "main"} | labels)


@pytest.fixture
async def helm(scene: Any, tmp_path: Path) -> AsyncIterator[Helm]:
    file, words, metrics = tmp_path / "scores.json", FailingWords(), CollectorRegistry()
    write_registry(file, REGISTRY)
    meter = PrometheusScoreMeter(metrics, "main")
    steer = Steer(words, FileScores(file), scene.clock, meter, "main")
    await steer.look()
    yield Helm(steer, words, file, metrics, scene)


async def test_a_word_is_in_force_within_a_second_and_so_is_taking_it_back(helm: Helm) -> None:
    assert helm.steer.course(1).model.version == "linear-1"
    await helm.say(Verb.ACTIVATE, model=B)
    await helm.steer.look()
    assert helm.steer.course(1).model.version == "linear-1", "asked for once a second"
    assert (await helm.later()).course(1).model == B
    assert helm.shown("score", version="b") == 1
    assert helm.shown("score", version="linear-1") is None
    await helm.say(Verb.ROLL_BACK)
    assert (await helm.later()).course(1).model.version == "linear-1"
    await helm.words.say(Word(Verb.ACTIVATE, ALL_POOLS, "op", 0.0, model=C))
    assert (await helm.later()).course(1).model == C
    beside = helm.steer.beside("other")
    await beside.look()
    assert beside.course(1).model == C
    assert (
        helm.metrics.get_sample_value("inyeon_matching_score", {"pool": "other", "version": "c"})
        == 1
    )


async def test_what_the_file_activates_counts_until_somebody_says_something(helm: Helm) -> None:
    write_registry(helm.file, REGISTRY.activated("c"))
    assert (await helm.later()).course(1).model == C
    await helm.say(Verb.ACTIVATE, model=B)
    assert (await helm.later()).course(1).model == B


async def test_a_broken_file_a_lost_store_and_an_odd_word_leave_the_last_good_version(
    helm: Helm,
) -> None:
    write_registry(helm.file, REGISTRY.activated("c"))
    await helm.later()
    for breaking in (lambda: helm.file.write_text("{"), helm.file.unlink):
        with capture_logs() as logs:
            breaking()
            assert (await helm.later()).course(1).model == C
            await helm.later()
        assert [one["part"] for one in logs if one["event"] == "score.trouble"] == ["file"]
        assert helm.shown("score_trouble") == 1
    await helm.say(Verb.ACTIVATE, model=B)
    assert (await helm.later()).course(1).model == B, "the word holds its numbers"
    write_registry(helm.file, REGISTRY)
    await helm.later()
    assert helm.shown("score_trouble") == 0
    helm.words.away = True
    assert (await helm.later()).course(1).model == B and set(helm.steer.troubles) == {"words"}
    helm.words.away = False
    await helm.say(Verb.ACTIVATE, model=C, unreadable="a term of tomorrow")
    assert (await helm.later()).course(1).model == B
    assert "a term of tomorrow" in helm.steer.troubles["words"]


async def test_exploration_by_the_settings_and_without_the_version_that_is_missing(
    helm: Helm,
) -> None:
    helm.steer.trying = Trying(0.5, ("b",))
    steer = await helm.later()
    versions = {steer.course(seed).model.version for seed in range(50)}
    assert versions == {"b", "linear-1"} and helm.shown("explored_share") == 0.5
    helm.steer.trying = Trying(0.5, ("b", "gone"))
    steer = await helm.later()
    assert {steer.course(seed).model.version for seed in range(50)} == {"linear-1"}
    assert "gone" in steer.troubles["exploration"] and helm.shown("explored_share") == 0


async def test_an_experiment_shows_its_arm(helm: Helm) -> None:
    start_s = helm.scene.clock.now().timestamp()
    trial = Experiment(Plan("t", ("b", "c"), start_s, 60.0, 0.0), (B, C), 6)
    await helm.say(Verb.START, experiment=trial)
    seen = []
    for _ in range(2):
        course = (await helm.later()).course(1)
        assert (course.experiment, course.propensity) == ("t", 0.5)
        seen.append(course.model.version)
        assert helm.shown("arm", experiment="t", arm=seen[-1]) == 1
        await helm.scene.clock.advance(60.0)
    assert sorted(seen) == ["b", "c"]
    assert helm.shown("arm", experiment="t", arm=seen[0]) is None
    await helm.say(Verb.STOP)
    assert (await helm.later()).course(1).model.version == "linear-1"
    assert helm.shown("arm", experiment="t", arm=seen[1]) is None


async def test_the_wave_goes_by_it_and_says_so_in_match_and_record(helm: Helm) -> None:
    helm.steer.trying = Trying(0.5, ("b",))
    await helm.later()
    scene = helm.scene
    scene.desk = replace(scene.desk, steer=helm.steer, recorder=Recorder(ProtoFrames()))
    reader, replayer = DecisionReader(), Replayer()
    for number in range(8):
        for user in (f"ana{number}", f"bob{number}"):
            await scene.person(user)
        await run_wave(scene.desk)
        match = scene.desk.hall.meetings.of_user(f"ana{number}")
        assert match is not None and match.chosen.propensity == 1.0, "both versions pair these two"
        (kept,) = [m for m in await scene.desk.book.live_matches("main") if m == match]
        assert kept.chosen.score_version in ("b", "linear-1")
    relay = OutboxRelay(scene.store, scene.log, scene.clock, owner="test")
    await relay.drain()
    records = [record async for record in read_decision_records(scene.log)]
    found = [one for one in map(reader.take, records) if one is not None]
    assert {one.rules.score.version for one in found} == {"b", "linear-1"}
    assert [replayer.take(one).fate for one in found] == [Fate.SAME] * 8
    assert sum(one.frame.base == 0 for one in found) == 1, "another score needs no key frame"
