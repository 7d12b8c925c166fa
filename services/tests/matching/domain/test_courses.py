"""What a wave goes by: one version in force, a share that explores, an experiment's arm."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from inyeon.matching.domain.courses import Course, chances, course_of, tried
from inyeon.matching.domain.exploring import ExplorationRefused
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel
from inyeon.matching.domain.score_words import Experiment, InForce
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.switchback import Plan
from inyeon.matching.domain.waves import Pair, Wave

pytestmark = pytest.mark.unit

B = ScoreModel("b", 0.5, {"interests": 1.0})
C = ScoreModel("c", 0.5, {"waiting": 1.0})


def test_without_trial_or_experiment_the_usual_version_counts_surely() -> None:
    assert course_of(InForce(), B, None, 7, 0.0) == Course(B)
    assert tried("main", B, [B], 0.3) is None and tried("main", B, [C], 0.0) is None


def test_a_share_of_the_waves_explores_the_same_everywhere() -> None:
    trial = tried("main", LINEAR_1, [B, LINEAR_1, C], 0.2)
    assert trial is not None
    courses = [course_of(InForce(), LINEAR_1, trial, seed, 0.0) for seed in range(4_000)]
    counts = Counter(course.model.version for course in courses)
    assert counts["linear-1"] == pytest.approx(3_200, abs=100) and min(counts.values()) > 300
    for course in courses[:50]:
        assert course.propensity == dict(course.shares)[course.model]
    assert sum(share for _, share in courses[0].shares) == pytest.approx(1.0)
    other = tried("elsewhere", LINEAR_1, [B, C], 0.2)
    assert other is not None
    assert [other.course(n).model for n in range(99)] != [c.model for c in courses[:99]]
    with pytest.raises(ExplorationRefused):
        tried("main", LINEAR_1, [B, C], 0.0015)


def test_an_experiment_goes_before_exploration_until_it_is_over() -> None:
    plan = Plan("t", ("b", "c"), 0.0, 60.0, 0.0)
    state = InForce((), Experiment(plan, (B, C), 6))
    trial = tried("main", LINEAR_1, [B], 0.5)
    course = course_of(state, LINEAR_1, trial, 1, 61.0)
    assert course.model.version == plan.arm(1) and course.propensity == 0.5
    assert (course.experiment, course.window, course.shares) == ("t", 1, ())
    assert course_of(state, LINEAR_1, None, 1, 12 * 60.0) == Course(LINEAR_1)


def test_a_pair_on_which_versions_agree_has_the_chance_of_both() -> None:
    def wave(*pairs: tuple[int, int]) -> Wave:
        found = tuple(Pair(one, other, 1.0) for one, other in pairs)
        return Wave(Snapshot.empty(), found, np.zeros(0, np.int64), 0.0)

    course = Course(B, 0.75, ((B, 0.75), (C, 0.25)))
    waves = {"b": wave((0, 1), (2, 3)), "c": wave((0, 1), (2, 4))}
    assert chances(course, waves, waves["b"]) == pytest.approx((1.0, 0.75))
    assert chances(course, waves, waves["c"]) == pytest.approx((1.0, 0.25))
