"""Looking back at waves that explored: the estimates hold what the candidate would have earned.

The rewards are simulated: a conversation is long with a chance that rises with how alike two are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from inyeon.matching.domain.courses import Course, chances, tried
from inyeon.matching.domain.evaluating import EvaluationRefused
from inyeon.matching.domain.explaining import similarity
from inyeon.matching.domain.frames import FrameMaker
from inyeon.matching.domain.hindsight import Hindsight, WaveRows, hindsight, rows_of
from inyeon.matching.domain.replaying import Decision, TicketPair, ticket_pairs
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.waves import Wave, WaveRules, decide
from inyeon.matching.workload import synthetic_pool

pytestmark = pytest.mark.unit

ALIKE = ScoreModel("alike", 0.1, {"interests": 2.0})
LONGEST = ScoreModel("longest", 0.1, {"waiting": 2.0})
RULES = WaveRules(patience=Patience(start=0.0), score=LONGEST)
WAVES = 90


def long_chance(snapshot: Snapshot, one: int, other: int) -> float:
    wishes = snapshot.tickets[one].wish, snapshot.tickets[other].wish
    return 0.2 + 0.6 * max(similarity(*wishes), 0.0)


@dataclass(frozen=True)
class World:
    """Waves that explored, and what every version would truly have earned a pair."""

    snapshots: list[Snapshot]
    decisions: list[Decision]
    rewards: dict[str, float]
    truth: dict[str, float]

    def rows(self, candidate: ScoreModel) -> list[WaveRows]:
        both = zip(self.snapshots, self.decisions, strict=True)
        return [rows_of(snapshot, wave, self.rewards, candidate) for snapshot, wave in both]


def decided(number: int, snapshot: Snapshot, course: Course, wave: Wave) -> Decision:
    pairs = ticket_pairs(wave)
    return Decision(
        pool="main",
        wave=number,
        engine="e",
        frame=FrameMaker().make(number, snapshot, 0.0),
        inputs=b"",
        rules=replace(RULES, score=course.model),
        seed=number,
        seekers=None,
        pairs=pairs,
        digest=b"",
        matches={pair: f"{number}/{pair[0]}" for pair in pairs},
        shares=course.shares,
    )


@pytest.fixture(scope="module")
def world() -> World:
    draw, trial = np.random.default_rng(7), tried("main", LONGEST, [ALIKE], 0.3)
    assert trial is not None
    made = World([], [], {}, {"alike": 0.0, "longest": 0.0})
    pairs = {"alike": 0, "longest": 0}
    for number in range(1, WAVES + 1):
        snapshot = synthetic_pool(40, number).snapshot(1.0)
        waves = {
            model.version: decide(snapshot, replace(RULES, score=model), number)
            for model in (ALIKE, LONGEST)
        }
        for version, wave in waves.items():
            worth = [long_chance(snapshot, pair.one, pair.other) for pair in wave.pairs]
            made.truth[version] += sum(worth)
            pairs[version] += len(worth)
        course = trial.course(number)
        decision = decided(number, snapshot, course, waves[course.model.version])
        for pair, chance in zip(
            waves[course.model.version].pairs,
            chances(course, waves, waves[course.model.version]),
            strict=True,
        ):
            ids = ticket_ids(snapshot, pair.one, pair.other)
            made.rewards[decision.matches[ids]] = float(
                draw.random() < long_chance(snapshot, pair.one, pair.other)
            )
            assert chance in (pytest.approx(0.3), pytest.approx(0.7), pytest.approx(1.0))
        made.snapshots.append(snapshot)
        made.decisions.append(decision)
    for version in made.truth:
        made.truth[version] /= pairs[version]
    return made


def ticket_ids(snapshot: Snapshot, one: int, other: int) -> TicketPair:
    return snapshot.tickets[one].ticket_id, snapshot.tickets[other].ticket_id


@pytest.mark.parametrize("candidate", [ALIKE, LONGEST])
def test_every_estimate_holds_the_truth(world: World, candidate: ScoreModel) -> None:
    found = hindsight(world.rows(candidate))
    truth = world.truth[candidate.version]
    for one in (found.ips, found.self_normalised, found.doubly_robust):
        assert one.low < truth < one.high and one.width < 0.25
    assert found.doubly_robust.width < found.ips.width


def test_a_better_version_is_seen_to_be_better(world: World) -> None:
    better, same = hindsight(world.rows(ALIKE)), hindsight(world.rows(LONGEST))
    assert world.truth["alike"] > world.truth["longest"] + 0.05
    assert better.difference.low > 0 > same.difference.low
    assert better.logged == same.logged and better.rows == same.rows == len(world.rewards)


def test_logged_chances_are_those_of_doing_it_again(world: World) -> None:
    snapshot, wave = world.snapshots[0], world.decisions[0]
    again = rows_of(snapshot, wave, world.rewards, ALIKE)
    logged = {pair: float(c) for pair, c in zip(wave.matches, again.propensity, strict=True)}
    other_engine = replace(wave, shares=(), chances=logged)
    assert rows_of(snapshot, other_engine, world.rewards, ALIKE).propensity.tolist() == (
        again.propensity.tolist()
    )


def test_matches_that_go_on_have_no_row_and_without_rows_there_is_no_estimate(
    world: World,
) -> None:
    snapshot, wave = world.snapshots[0], world.decisions[0]
    some = dict(list(world.rewards.items())[:3])
    rows = rows_of(snapshot, wave, some, LINEAR_1)
    assert len(rows.reward) == 3 < rows.made == len(wave.pairs)
    for known in ([], [rows], [rows_of(snapshot, wave, {}, ALIKE)]):
        with pytest.raises(EvaluationRefused):
            hindsight(known)


def test_languages_in_common_and_none(world: World) -> None:
    found: Hindsight = hindsight(world.rows(LINEAR_1))
    terms = np.concatenate([rows.wanted for rows in world.rows(LINEAR_1)])
    assert set(terms[:, 2].round(1)) <= {0.2, 0.4, 0.6, 0.8, 1.0} and (terms <= 1.0).all()
    assert found.rows == len(world.rewards)
