"""Off-policy estimates: right by hand, and their intervals hold the truth as often as they say.

The world of the simulation: each wave has a context; the running policy takes action 1 with a known
chance, the other policy nearly always takes what pays. Rewards of a wave share a mood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.evaluating import (
    Estimate,
    EvaluationRefused,
    Exact,
    Guess,
    Logged,
    bootstrapped,
    doubly_robust,
    ips,
    ips_total,
    self_normalised,
)
from inyeon.matching.domain.exploring import Exploration, pair_chances

pytestmark = pytest.mark.unit

WAVES, ROWS = 150, 4
PAYS = np.array([[0.3, 0.5], [0.6, 0.2]])
"""Mean reward by context and action."""
RUNNING = np.array([[0.7, 0.3], [0.4, 0.6]])
OTHER = np.array([[0.1, 0.9], [0.9, 0.1]])
TRUTH = float((OTHER * PAYS).sum(axis=1).mean())


def simulated(draw: np.random.Generator, believed: Exact) -> tuple[Logged, Guess]:
    """A log of the simulated world, and guesses of somebody who believes that table of rewards."""
    wave = np.repeat(np.arange(WAVES), ROWS)
    context = draw.integers(0, 2, WAVES)[wave]
    action = (draw.random(len(wave)) < RUNNING[context, 1]).astype(int)
    mood = draw.normal(0.0, 0.2, WAVES)[wave]
    reward = (draw.random(len(wave)) < PAYS[context, action]) + mood
    log = Logged(reward, RUNNING[context, action], OTHER[context, action], wave)
    return log, Guess(believed[context, action], (OTHER * believed).sum(axis=1)[context])


Estimator = Callable[[Logged, Guess], Estimate]
ESTIMATORS: dict[str, Estimator] = {
    "ips": lambda log, _: ips(log),
    "self-normalised": lambda log, _: self_normalised(log),
    "doubly robust": doubly_robust,
    "doubly robust, wrong guess": lambda log, guess: doubly_robust(
        log, replace_guess(guess, guess.taken * 0 + 2.0)
    ),
}


def replace_guess(guess: Guess, taken: Exact) -> Guess:
    return Guess(taken, np.full(len(guess.target), 2.0))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str) -> None:
    """400 logs: at 95 % the count's own deviation is 1.1 %, so 92 to 98 % is three of them."""
    draw, held, values = np.random.default_rng(11), 0, []
    for _ in range(400):
        found = ESTIMATORS[name](*simulated(draw, PAYS))
        held += found.low <= TRUTH <= found.high
        values.append(found.value)
    assert 0.92 <= held / 400 <= 0.98
    assert np.mean(values) == pytest.approx(TRUTH, abs=4 * float(np.std(values)) / 20)


def test_bootstrapped_intervals_hold_the_truth_too() -> None:
    draw, held = np.random.default_rng(12), 0
    for turn in range(120):
        log, guess = simulated(draw, PAYS)
        found = bootstrapped(log, guess if turn % 2 else None, seed=turn)
        held += found.low <= TRUTH <= found.high
    assert held / 120 >= 0.89  # 95 % less three deviations of 2 %


def test_a_good_guess_narrows_and_rows_alone_would_lie() -> None:
    log, guess = simulated(np.random.default_rng(13), PAYS)
    assert doubly_robust(log, guess).width < ips(log).width
    alone = replace(log, wave=np.arange(len(log.reward)))
    assert doubly_robust(alone, guess).width < doubly_robust(log, guess).width


def test_the_running_policy_itself_is_its_mean_reward() -> None:
    log, _ = simulated(np.random.default_rng(14), PAYS)
    same = replace(log, target=log.propensity)
    for found in (ips(same), self_normalised(same), bootstrapped(same)):
        assert found.value == pytest.approx(log.reward.mean())
        assert found.effective == pytest.approx(len(log.reward)) and found.waves == WAVES


def test_estimates_by_hand() -> None:
    log = Logged(np.array([1.0, 0.0]), np.array([0.5, 0.25]), np.array([1.0, 0.5]), np.arange(2))
    assert ips(log).value == pytest.approx(1.0)
    assert self_normalised(log).value == pytest.approx(0.5)
    guess = Guess(np.array([0.5, 0.5]), np.array([0.75, 0.25]))
    assert doubly_robust(log, guess).value == pytest.approx((0.75 + 1.0 + 0.25 - 1.0) / 2)
    assert ips(log).effective == pytest.approx(2.0)


VERSIONS = (("a", 0.7), ("b", 0.3))


def explored(turn: int, waves: int) -> tuple[Logged, float]:
    """Simulated waves of six people: version a pairs neighbours, b by a random order and only two
    pairs; each pair earns what only it is worth. The log of an exploring engine, with exact chances
    of pairs, as b would be judged by; and what b would earn in a wave."""
    draw, exploration = np.random.default_rng(turn), Exploration(f"sim{turn}", VERSIONS)
    rows, earned = list[tuple[float, float, float, int]](), 0.0
    for wave in range(waves):
        worth = draw.random((6, 6))
        order = draw.permutation(6).tolist()
        pairs = {
            "a": [(0, 1), (2, 3), (4, 5)],
            "b": [(min(p), max(p)) for p in (order[:2], order[2:4])],
        }
        chances = pair_chances(exploration, pairs)
        earned += sum(worth[pair] for pair in pairs["b"])
        for pair in pairs[exploration.choose(wave).version]:
            rows.append((worth[pair], chances[pair], float(pair in pairs["b"]), wave))
    reward, chance, target, number = (np.array(column) for column in zip(*rows, strict=True))
    return Logged(reward, chance, target, number), earned / waves


def test_an_explored_version_is_judged_by_what_it_would_have_paired() -> None:
    """The interval of what the other version earns in a wave holds the truth, although the two pair
    different numbers of people."""
    held, off = 0, []
    for turn in range(200):
        log, _ = explored(turn, 120)
        found = ips_total(log, 120)
        held += found.low <= 1.0 <= found.high  # two pairs of mean worth 0.5
        off.append(found.value - 1.0)
    assert 0.90 <= held / 200 <= 0.995
    assert np.mean(off) == pytest.approx(0.0, abs=4 * float(np.std(off)) / 14)


def test_waves_without_a_pair_earn_nothing() -> None:
    log = Logged(np.ones(2), np.ones(2), np.ones(2), np.array([3, 9]))
    assert ips_total(log, 4).value == 0.5
    assert ips_total(log, 2) == Estimate(1.0, 1.0, 1.0, 2.0, 2)
    with pytest.raises(EvaluationRefused, match="waves"):
        ips_total(log, 1)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 1), st.floats(0, 1)), min_size=2))
def test_self_normalised_never_leaves_the_rewards(rows: list[tuple[float, float, float]]) -> None:
    reward, propensity, target = (np.array(column) for column in zip(*rows, strict=True))
    log = Logged(reward, propensity, target, np.arange(len(rows)))
    if target.sum() > 0:
        value = self_normalised(log).value
        assert reward.min() - 1e-9 <= value <= reward.max() + 1e-9
    assert ips(log).low <= ips(log).high


def test_policies_that_never_meet_are_not_compared() -> None:
    log = Logged(np.ones(3), np.full(3, 0.5), np.zeros(3), np.arange(3))
    with pytest.raises(EvaluationRefused) as found:
        self_normalised(log)
    assert (found.value.reason, found.value.field) == ("NO_OVERLAP", "target")
    assert ips(log).effective == 0.0


GOOD = Logged(np.ones(3), np.full(3, 0.5), np.full(3, 0.5), np.arange(3))


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("reward", np.array([1.0, np.nan, 0.0]), "NOT_FINITE"),
        ("reward", np.ones((3, 1)), "LENGTH"),
        ("reward", np.array([]), "LENGTH"),
        ("propensity", np.array([0.5, 0.0, 0.5]), "PROPENSITY"),
        ("propensity", np.array([0.5, 1.1, 0.5]), "PROPENSITY"),
        ("propensity", np.array([0.5, np.inf, 0.5]), "NOT_FINITE"),
        ("target", np.array([0.5, -0.1, 0.5]), "TARGET"),
        ("target", np.array([0.5, 0.5]), "LENGTH"),
        ("wave", np.zeros(3, dtype=np.int64), "TOO_FEW"),
    ],
)
def test_a_log_that_cannot_answer_is_refused(column: str, values: Exact, reason: str) -> None:
    with pytest.raises(EvaluationRefused) as found:
        replace(GOOD, **{column: values})  # type: ignore[arg-type]
    assert found.value.reason == reason


def test_guesses_of_another_log_are_refused() -> None:
    for guess in (Guess(np.ones(2), np.ones(3)), Guess(np.ones(3), np.array([0, 0, np.nan]))):
        with pytest.raises(EvaluationRefused, match="guess"):
            doubly_robust(GOOD, guess)
