"""Switchbacks: windows by seed, effects with honest intervals, guardrails that stop harm."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from inyeon.matching.domain.effects import (
    LEAST_BLOCKS,
    effect,
    normal_quantile,
    student,
)
from inyeon.matching.domain.guarding import Guardrail, breaches
from inyeon.matching.domain.switchback import (
    Exact,
    ExperimentRefused,
    Facts,
    Plan,
    Seen,
    facts_by_window,
)

pytestmark = pytest.mark.unit

PLAN = Plan("e", ("a", "b"), start_s=1_000.0, window_s=600.0, burn_in_s=120.0)
BLOCKS = 24


def simulated(draw: np.random.Generator, plan: Plan, **better: float) -> list[Facts]:
    """Windows of a simulated day: drift by hour, moods of windows; arm b matches more by `match`,
    waits longer by `wait` (share) and is reported more by `report`."""
    facts = []
    for number in range(BLOCKS * len(plan.arms)):
        arm = plan.arm(number)
        treated = arm == "b"
        rate = 0.7 + 0.1 * math.sin(number / 7) + draw.normal(0, 0.02)
        rate += better.get("match", 0.0) * treated
        wait = (60 + 10 * math.sin(number / 5) + draw.normal(0, 3)) * (
            1 + better.get("wait", 0.0) * treated
        )
        tickets = int(draw.integers(800, 1200))
        matched = draw.binomial(tickets, rate)
        reports = draw.binomial(matched, 0.01 + better.get("report", 0.0) * treated) / matched
        facts.append(Facts(number, arm, tickets, matched / tickets, wait, reports))
    return facts


@given(st.integers(0, 10_000), st.integers(2, 8), st.text(min_size=1, max_size=8))
def test_every_block_holds_every_arm_once(number: int, arms: int, name: str) -> None:
    plan = Plan(name, tuple(f"arm{n}" for n in range(arms)), 0.0, 600.0, 60.0)
    assert sorted(plan.block(number)) == list(plan.arms)
    windows = [plan.arm(number * arms + place) for place in range(arms)]
    assert windows == list(plan.block(number)) == list(replace(plan).block(number))


def test_orders_are_alike_likely_and_another_name_draws_anew() -> None:
    counted = Counter(PLAN.block(number) for number in range(4_000))
    assert counted["a", "b"] / 4_000 == pytest.approx(0.5, abs=0.03)
    other = replace(PLAN, name="f")
    assert [PLAN.block(n) for n in range(50)] != [other.block(n) for n in range(50)]


def test_a_moment_has_its_window() -> None:
    assert PLAN.window(999.9) is None and PLAN.window(math.nan) is None
    first = PLAN.window(1_000.0)
    assert first is not None and (first.number, first.counted) == (0, False)
    later = PLAN.window(1_720.0)
    assert later is not None and (later.number, later.counted) == (1, True)
    assert later.arm == PLAN.arm(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "NAME"),
        ({"arms": ("a",)}, "ARMS"),
        ({"arms": ("a", "a")}, "ARMS"),
        ({"arms": tuple("abcdefghi")}, "ARMS"),
        ({"window_s": 59.0}, "WINDOW"),
        ({"window_s": math.inf}, "WINDOW"),
        ({"start_s": math.nan}, "WINDOW"),
        ({"burn_in_s": -1.0}, "BURN_IN"),
        ({"burn_in_s": 301.0}, "BURN_IN"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ExperimentRefused) as found:
        replace(PLAN, **change)  # type: ignore[arg-type]
    assert found.value.reason == reason and found.value.field in {*change, "window_s"}


def test_facts_leave_the_burn_in_and_the_time_before_out() -> None:
    came = np.array([500.0, 1_050.0, 1_200.0, 1_300.0, 1_700.0, 1_750.0])
    waited = np.array([9.0, 9.0, 1.0, 3.0, 9.0, 5.0])
    matched = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    facts = facts_by_window(PLAN, Seen(came, waited, matched, np.array([0, 0, 1.0, 0, 0, 0])))
    assert [f.number for f in facts] == [0, 1] and [f.arm for f in facts] == list(PLAN.block(0))
    assert (facts[0].tickets, facts[0].match_rate, facts[0].reports_per_match) == (2, 0.5, 1.0)
    assert facts[0].wait_p99_s == pytest.approx(2.98)
    assert (facts[1].tickets, facts[1].match_rate, facts[1].reports_per_match) == (1, 0.0, 0.0)


@pytest.mark.parametrize(
    "seen",
    [
        Seen(np.ones(2), np.ones(2), np.ones(1), np.ones(2)),
        Seen(np.ones(2), np.array([1.0, math.nan]), np.ones(2), np.ones(2)),
    ],
)
def test_broken_columns_are_refused(seen: Seen) -> None:
    with pytest.raises(ExperimentRefused, match="seen"):
        facts_by_window(PLAN, seen)


def test_two_like_arms_differ_as_rarely_as_they_should() -> None:
    """A/A: 600 experiments at 5 %; three deviations of 0.9 % around it."""
    draw, false = np.random.default_rng(21), 0
    for turn in range(600):
        plan = replace(PLAN, name=f"aa{turn}")
        false += effect(plan, simulated(draw, plan), "b", "match_rate").significant
    assert 0.023 <= false / 600 <= 0.077


def test_a_known_effect_is_held_about_as_often_as_said() -> None:
    draw, held = np.random.default_rng(22), 0
    for turn in range(400):
        plan = replace(PLAN, name=f"ab{turn}")
        found = effect(plan, simulated(draw, plan, match=0.03), "b", "match_rate")
        held += found.low <= 0.03 <= found.high
        assert found.blocks == BLOCKS and found.control == pytest.approx(0.7, abs=0.08)
    assert 0.917 <= held / 400 <= 0.983


def test_blocks_cancel_the_time_of_day() -> None:
    """A day's drift lies between blocks: the interval is far narrower than windows spread."""
    plan = replace(PLAN, name="day")
    facts = simulated(np.random.default_rng(23), plan)
    found = effect(plan, facts, "b", "match_rate")
    arms: list[Exact] = [np.array([f.match_rate for f in facts if f.arm == arm]) for arm in "ab"]
    unblocked = 1.96 * math.sqrt(sum(float(a.var(ddof=1)) / len(a) for a in arms))
    assert (found.high - found.low) / 2 < 0.6 * unblocked


def test_too_little_or_a_wrong_question_is_refused() -> None:
    facts = simulated(np.random.default_rng(24), PLAN)
    few = facts[: 2 * LEAST_BLOCKS - 1]
    for windows, arm, metric, reason in (
        (few, "b", "match_rate", "TOO_FEW"),
        (facts, "a", "match_rate", "ARM"),
        (facts, "c", "match_rate", "ARM"),
        (facts, "b", "arm", "METRIC"),
    ):
        with pytest.raises(ExperimentRefused) as found:
            effect(PLAN, windows, arm, metric)
        assert found.value.reason == reason


def test_a_lost_window_takes_its_block_with_it() -> None:
    facts = simulated(np.random.default_rng(25), PLAN)
    assert effect(PLAN, facts[1:], "b", "match_rate").blocks == BLOCKS - 1


@pytest.mark.parametrize(
    ("better", "metric"),
    [
        ({"match": -0.06}, "match_rate"),
        ({"wait": 0.3}, "wait_p99_s"),
        ({"report": 0.01}, "reports_per_match"),
    ],
)
def test_a_harmful_arm_is_stopped_and_its_metric_named(
    better: dict[str, float], metric: str
) -> None:
    plan = replace(PLAN, name=metric)
    found = breaches(plan, simulated(np.random.default_rng(26), plan, **better), looks=20)
    assert [(b.arm, b.metric) for b in found] == [("b", metric)]
    assert found[0].harm > found[0].allowed > 0


def test_looking_after_every_block_rarely_stops_a_harmless_arm() -> None:
    """A/A with 19 looks each: at most 5 % of experiments may stop; 12 of 150 are three deviations
    above it. Tolerance 0, so that nothing but chance is judged."""
    draw, stopped = np.random.default_rng(27), 0
    rails = tuple(Guardrail(m, 0.0) for m in ("match_rate", "wait_p99_s", "reports_per_match"))
    looks = range(LEAST_BLOCKS, BLOCKS + 1)
    for turn in range(150):
        plan = replace(PLAN, name=f"look{turn}")
        facts = simulated(draw, plan)
        stopped += any(breaches(plan, facts[: 2 * n], len(looks), rails) for n in looks)
    assert stopped <= 15


def test_a_better_arm_is_never_stopped_and_a_floor_forgives_little_things() -> None:
    plan = replace(PLAN, name="good")
    good = simulated(np.random.default_rng(28), plan, match=0.05, wait=-0.2)
    assert breaches(plan, good, looks=20) == []
    bad = simulated(np.random.default_rng(28), plan, report=0.01)
    assert breaches(plan, bad, 20, (Guardrail("reports_per_match", 0.1, floor=0.5),)) == []


def test_before_enough_blocks_nothing_is_sure() -> None:
    bad = simulated(np.random.default_rng(29), PLAN, match=-0.5)
    assert breaches(PLAN, bad[: 2 * LEAST_BLOCKS - 2], looks=20) == []
    with pytest.raises(ExperimentRefused, match="looks"):
        breaches(PLAN, bad, looks=0)


@pytest.mark.parametrize("freedom", [5, 8, 12, 30, 200])
@pytest.mark.parametrize(("z", "off"), [(1.0, 0.001), (1.96, 0.001), (3.0, 0.02), (3.5, 0.07)])
def test_students_quantile_against_scipy(freedom: int, z: float, off: float) -> None:
    exact = stats.t.ppf(stats.norm.cdf(z), freedom)
    assert student(z, freedom) == pytest.approx(exact, abs=off)


@pytest.mark.parametrize("chance", [1e-6, 0.025, 0.5, 0.975, 0.9999])
def test_normal_quantile_against_scipy(chance: float) -> None:
    assert normal_quantile(chance) == pytest.approx(stats.norm.ppf(chance), abs=1e-7)
