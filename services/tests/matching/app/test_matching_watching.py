"""Experiments are counted, stopped where they do harm, and end by themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.score_files import FileScores
from inyeon.matching.adapters.score_metrics import PrometheusScoreMeter
from inyeon.matching.adapters.score_tallies import MemoryScoreTallies
from inyeon.matching.adapters.score_words import MemoryScoreWords
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.end_match import end_match
from inyeon.matching.app.experiments import Experiments, Result
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.scores import Scores
from inyeon.matching.app.steering import Steer
from inyeon.matching.app.watching import GUARDRAIL, Watch, whole_blocks
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel
from inyeon.matching.domain.score_words import Experiment, Verb, Word
from inyeon.matching.domain.switchback import Plan
from inyeon.matching.domain.tallies import Tally
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.runtime.errors import StoreUnavailable

pytestmark = pytest.mark.unit

B = ScoreModel("b", 0.5, {"interests": 1.0})
BLOCKS, WINDOW_S, BURN_IN_S = 8, 60.0, 10.0
OPERATOR = frozenset({"operator"})


class FailingTallies(MemoryScoreTallies):
    """A store that can be away."""

    away = False

    async def add(self, experiment: int, pool: str, tallies: Any) -> None:
        if self.away:
            raise StoreUnavailable("away")
        await super().add(experiment, pool, tallies)


@dataclass
class Lab:
    """An experiment that runs, and its watch."""

    watch: Watch
    words: MemoryScoreWords
    tallies: FailingTallies
    scene: Any
    trial: Experiment

    @property
    def steer(self) -> Steer:
        return self.watch.steer

    async def second(self) -> None:
        await self.scene.clock.advance(1.0)
        await self.steer.look()
        await self.watch.work()

    async def windows(self, count: int, harm: str = "") -> None:
        """So many windows go by; in those of `harm` fewer people find somebody."""
        for _ in range(count):
            arm = self.steer.course(1).model.version
            for second in range(int(WINDOW_S)):
                fine = arm != harm or second % 2
                self.watch.ended(TicketEnd.MATCHED if fine else TicketEnd.CANCELLED, 1.0)
                await self.second()

    async def result(self) -> Result:
        floor = Floor({"main": self.scene.desk}, "here")
        scores = Scores(self.words, FileScores(None), floor, self.scene.clock)
        (pool,) = await scores.pools(OPERATOR)
        found = await Experiments(scores, self.tallies, self.scene.clock).result(pool)
        assert found is not None
        return found


@pytest.fixture
async def lab(scene: Any) -> Lab:
    words, tallies = MemoryScoreWords(), FailingTallies()
    meter = PrometheusScoreMeter(CollectorRegistry(), "main")
    steer = Steer(words, FileScores(None), scene.clock, meter, "main")
    start_s = scene.clock.now().timestamp()
    plan = Plan("t", ("linear-1", "b"), start_s, WINDOW_S, BURN_IN_S)
    trial = Experiment(plan, (LINEAR_1, B), BLOCKS)
    await words.say(Word(Verb.START, "main", "op", start_s, experiment=trial))
    await steer.look()
    return Lab(Watch(steer, tallies, scene.clock), words, tallies, scene, trial)


async def test_an_arm_that_does_harm_is_stopped_at_once_and_said_to_be(lab: Lab) -> None:
    await lab.windows(2 * 5, harm="b")
    assert lab.steer.state.experiment is not None, "five pairs of windows prove nothing"
    await lab.windows(3, harm="b")
    await lab.second()
    assert lab.steer.state.experiment is None and lab.steer.course(1).model == LINEAR_1
    said = (await lab.words.about("main"))[-1]
    assert (said.verb, said.said_by) == (Verb.STOP, GUARDRAIL)
    assert said.note.startswith("b: match_rate worse by 0.")
    found = await lab.result()
    assert not found.running and found.blocks_done == 6
    (rate,) = [one for one in found.effects if one.metric == "match_rate"]
    assert rate.high < -0.4 and rate.control > 0.95


async def test_without_harm_it_runs_to_its_end_and_not_longer(lab: Lab) -> None:
    await lab.windows(2 * BLOCKS)
    found = await lab.result()
    assert found.running and found.blocks_done == BLOCKS - 1
    await lab.windows(1)
    said = (await lab.words.about("main"))[-1]
    assert (said.verb, said.note) == (Verb.STOP, f"all {BLOCKS} blocks are done")
    found = await lab.result()
    assert (found.running, found.arm, found.blocks_done) == (False, "", BLOCKS)
    assert not any(one.significant for one in found.effects)
    assert sum(t.tickets for t in (await lab.tallies.of(1, "main")).values()) == (
        2 * BLOCKS * int(WINDOW_S - BURN_IN_S)
    ), "burn-in is not counted, and nothing after the end"


async def test_what_was_counted_outlives_a_store_that_is_away(lab: Lab) -> None:
    for _ in range(25):
        lab.watch.ended(TicketEnd.MATCHED, 0.0)
        await lab.second()
    before = (await lab.tallies.of(1, "main"))[0].tickets
    lab.tallies.away = True
    lab.watch.ended(TicketEnd.EXPIRED, 0.0)
    with pytest.raises(StoreUnavailable):
        for _ in range(10):
            await lab.second()
    lab.watch.ended(TicketEnd.MATCHED, 0.0)
    lab.tallies.away = False
    for _ in range(10):
        await lab.second()
    kept = (await lab.tallies.of(1, "main"))[0]
    assert kept.tickets == kept.matched + 1 and kept.tickets > before > 0


async def test_another_was_first_to_stop_it(lab: Lab) -> None:
    await lab.windows(2 * BLOCKS)
    await lab.words.say(Word(Verb.STOP, "main", "op", 0.0))
    await lab.scene.clock.advance(WINDOW_S)
    await lab.watch.work()
    assert [word.said_by for word in await lab.words.about("main")] == ["op", "op"]


async def test_the_pool_feeds_it_with_matches_ends_and_reports(lab: Lab) -> None:
    scene = lab.scene
    desk = scene.desk = replace(scene.desk, steer=lab.steer, watch=lab.watch)
    await scene.clock.advance(BURN_IN_S)
    await scene.person("ana")
    await scene.person("bob")
    await run_wave(desk)
    match = desk.hall.meetings.of_user("ana")
    assert match is not None
    assert (match.chosen.score_version, match.chosen.propensity) == (lab.trial.plan.arm(0), 0.5)
    await end_match(desk, "ana", match.match_id, EndReason.REPORTED)
    await scene.person("cid")
    await cancel(desk, "cid")
    lab.watch.ended(TicketEnd.MOVED, 0.0)
    lab.watch.ended(TicketEnd.MATCHED, 5.0)  # came in the burn-in
    await scene.clock.advance(10.0)
    await lab.watch.work()
    assert await lab.tallies.of(1, "main") == {0: Tally(3, 2, 2, {0: 3})}
    assert lab.watch.beside(lab.steer.beside("other")).steer.pool == "other"


def test_a_block_is_judged_once_its_last_people_had_time() -> None:
    plan = Plan("t", ("linear-1", "b"), 0.0, 3_600.0, 0.0)
    trial = Experiment(plan, (LINEAR_1, B), 6)
    assert [whole_blocks(trial, at) for at in (-9.0, 7_499.0, 7_500.0, 1e9)] == [0, 0, 1, 6]
