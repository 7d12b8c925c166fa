"""A SIMULATED run keeps the promises of the service, whatever the policy."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain.languages import Routes
from inyeon.matching.simulation import chance
from inyeon.matching.simulation.calibration import shipped
from inyeon.matching.simulation.crowd import arrival_times, make_crowd
from inyeon.matching.simulation.figures import figures, gini
from inyeon.matching.simulation.judging import may_meet
from inyeon.matching.simulation.meetings import Meetings
from inyeon.matching.simulation.scenario import Policy, Scenario, shipped_policies, shipped_scenario
from inyeon.matching.simulation.simulating import simulate
from inyeon.matching.simulation.world import Fate, Run, World
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

MakeScenario = Callable[..., Scenario]
POLICIES = {one.name: one for one in shipped_policies()}


def run(scenario: Scenario, policy: Policy, seed: int = 3) -> Run:
    crowd = make_crowd(scenario, shipped(), seed)
    return World(scenario, crowd, shipped(), policy, seed).run()


@pytest.mark.parametrize("name", POLICIES)
def test_nobody_is_in_two_places_and_no_gate_breaks(scenario: MakeScenario, name: str) -> None:
    found = run(scenario(arrivals_per_s=1.5, blocks=0.3), POLICIES[name])
    assert found.meetings and all(one.right and not one.within_horizon for one in found.meetings)
    busy: dict[int, float] = defaultdict(lambda: -math.inf)
    for one in found.meetings:
        assert one.seeks[0] != one.seeks[1]
        for place in one.seeks:
            seek = found.seeks[place]
            assert seek.fate is Fate.MATCHED and seek.ended == one.at >= seek.began
            assert busy[seek.who] <= one.at, "in another meeting"
            busy[seek.who] = one.at + one.meeting.length_s
    matched = sum(seek.fate is Fate.MATCHED for seek in found.seeks)
    assert matched == 2 * len(found.meetings)


def test_who_leaves_leaves_when_patience_ends(scenario: MakeScenario) -> None:
    found = run(scenario(patience_s=5.0), POLICIES["picky"])
    left = [seek for seek in found.seeks if seek.fate is Fate.LEFT]
    assert left and all(seek.ended == seek.leaves_at for seek in left)


def test_a_full_pool_refuses_and_says_so(scenario: MakeScenario) -> None:
    small = scenario(max_waiting=3, arrivals_per_s=2.0)
    crowd = make_crowd(small, shipped(), 3)
    found = World(small, crowd, shipped(), POLICIES["service"], 3).run()
    assert found.deepest <= 3
    assert float(str(figures(found, crowd, 0.0)["shed_share"])) > 0.1


def test_no_rematch_within_the_horizon(scenario: MakeScenario) -> None:
    two_meet_often = scenario(rematch_horizon_s=0.0, arrivals_per_s=0.03, minors=0.0)
    often = run(two_meet_often, POLICIES["anybody"])
    assert not any(one.within_horizon for one in often.meetings)


def test_those_about_to_leave_are_kept(scenario: MakeScenario) -> None:
    hasty = scenario(duration_s=300.0, patience_s=12.0, predictable=1.0)
    left = {
        name: sum(seek.fate is Fate.LEFT for seek in run(hasty, POLICIES[name]).seeks)
        for name in ("service", "leaving-first")
    }
    assert left["leaving-first"] < left["service"]


def test_the_same_seed_gives_the_same_bytes(scenario: MakeScenario) -> None:
    def text(seed: int) -> str:
        chosen = [POLICIES["service"], POLICIES["random-first-fit"], POLICIES["easy-on-arrival"]]
        return json.dumps(simulate(scenario(), chosen, shipped(), seed), sort_keys=True)

    assert text(5) == text(5) != text(6)


def test_progress_is_told_up_to_the_end(scenario: MakeScenario) -> None:
    told: list[tuple[str, float]] = []
    simulate(scenario(), [POLICIES["service"]], shipped(), 1, lambda *said: told.append(said))
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 100


def test_the_plain_judge_agrees_with_the_engine_about_everybody() -> None:
    tickets = [one.ticket for one in synthetic_waiters(80, 5, minors=0.3)]
    routes = Routes.parse(["en-es"])
    judged = [[may_meet(a, b, routes) for b in tickets] for a in tickets]
    assert np.array_equal(judged, np.transpose(judged)) and not np.diag(judged).any()
    from inyeon.matching.domain.waves import WaveRules, decide
    from inyeon.matching.workload import synthetic_pool

    wave = decide(synthetic_pool(80, 5, minors=0.3).snapshot(0.0), WaveRules(routes=routes), 1)
    assert wave.fitting.tolist() == np.sum(judged, axis=1).tolist()


def test_crowds_have_the_shares_of_the_data(scenario: MakeScenario) -> None:
    crowd = make_crowd(scenario(duration_s=3600.0, minors=0.2), shipped(), 11)
    women = np.mean([one.person.gender.name == "FEMALE" for one in crowd])
    assert women == pytest.approx(shipped().female * 0.98, abs=0.04)
    assert np.mean([one.decade == "minor" for one in crowd]) == pytest.approx(0.2, abs=0.03)
    mean = np.mean([one.seeks for one in crowd])
    assert mean == pytest.approx(shipped().partners_mean, abs=0.1)
    assert [one.arrives_at for one in crowd] == sorted(one.arrives_at for one in crowd)


def test_arrivals_follow_the_day_and_come_in_bursts(scenario: MakeScenario) -> None:
    day = scenario(duration_s=86_400.0, from_hour=0.0, arrivals_per_s=0.2)
    rng = np.random.default_rng(1)
    times = np.concatenate([arrival_times(day, shipped(), rng) for _ in range(20)])
    assert len(times) / 20 == pytest.approx(86_400 * 0.2, rel=0.05)
    hours = np.bincount((times // 3600).astype(np.int64), minlength=24)
    assert int(hours.argmin()) in (5, 6, 7) and int(hours.argmax()) in (0, 1, 23)
    per_bin = np.bincount((times // 600).astype(np.int64), minlength=144)
    assert per_bin.var() > per_bin.mean(), "more than Poisson"


def test_meetings_have_the_shares_of_the_data_and_likeness_lifts_them() -> None:
    scenario = shipped_scenario("evening")
    crowd = make_crowd(scenario, shipped(), 2)
    outcomes = Meetings(crowd, shipped(), 0.5, 2)
    usual = outcomes.usual_similarity
    held = [outcomes.hold(one, one + 1, usual, 0) for one in range(4000)]
    assert np.mean([one.answered for one in held]) == pytest.approx(shipped().answered, abs=0.03)
    assert np.mean([one.mutual for one in held]) == pytest.approx(shipped().mutual, abs=0.03)
    assert not any(one.mutual and one.blocked for one in held)
    close = [outcomes.hold(one, one + 1, 0.9, 0) for one in range(1000)]
    assert np.mean([one.mutual for one in close]) > 2 * shipped().mutual
    talks = [one.length_s for one in held if one.answered]
    assert np.median(talks) == pytest.approx(math.exp(shipped().talk_log_mean), rel=0.1)
    assert outcomes.hold(3, 9, 0.5, 0) == outcomes.hold(9, 3, 0.5, 0)


def test_nobody_to_compare_with() -> None:
    assert Meetings((), shipped(), 0.0, 1).usual_similarity == 0.0


@given(st.integers(0, 1 << 32), st.text(max_size=20))
def test_chance_is_a_share_and_repeats(seed: int, asked: str) -> None:
    assert 0 <= chance.uniform(seed, asked) < 1
    assert chance.uniform(seed, asked) == chance.uniform(seed, asked)


def test_chance_has_its_moments() -> None:
    drawn = np.array([chance.normal(1, number) for number in range(4000)])
    assert drawn.mean() == pytest.approx(0, abs=0.05) and drawn.std() == pytest.approx(1, abs=0.05)
    assert chance.share_of(chance.logit(0.3)) == pytest.approx(0.3)


def test_gini_of_what_is_known() -> None:
    assert gini(np.array([])) == gini(np.zeros(3)) == 0.0
    assert gini(np.array([5.0, 5.0, 5.0])) == 0.0
    assert gini(np.array([0.0, 0.0, 0.0, 8.0])) == 0.75
    assert gini(np.array([1.0, 3.0])) == 0.25
    assert gini(np.array([1.0, 3.0]), np.array([2.0, 1.0])) == gini(np.array([1.0, 1.0, 3.0]))


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e6)), min_size=1, max_size=30),
    st.floats(0.1, 10),
)
def test_gini_is_a_share_and_knows_no_unit(values: list[float], unit: float) -> None:
    found = gini(np.array(values))
    assert 0 <= found < 1
    assert gini(np.array(values) * unit) == pytest.approx(found, abs=2e-4)


def test_an_empty_evening_has_figures_too(scenario: MakeScenario) -> None:
    empty = scenario(arrivals_per_s=1e-4)
    found = figures(run(empty, POLICIES["service"]), (), 0.0)
    assert found["tickets"] == 0 and found["wait_p50_s"] is None and found["talk_mean_s"] is None
