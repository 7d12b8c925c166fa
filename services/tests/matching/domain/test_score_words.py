"""What follows from words about scores: the newest counts, and going back is one word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.score_models import KEPT_ACTIVATIONS, LINEAR_1, ScoreModel
from inyeon.matching.domain.score_words import (
    MOST_BLOCKS,
    Experiment,
    InForce,
    Verb,
    Word,
    WordRefused,
    after,
    check,
    in_force,
)
from inyeon.matching.domain.switchback import Plan

pytestmark = pytest.mark.unit

B = ScoreModel("b", 0.5, {"interests": 1.0})
C = ScoreModel("c", 0.5, {"waiting": 1.0})
TRIAL = Experiment(Plan("t", ("b", "c"), 1_000.0, 60.0, 0.0), (B, C), blocks=6)


def word(verb: Verb, **more: Any) -> Word:
    return replace(Word(verb, "main", "op", 0.0), **more)


ACTIVATE_B, ACTIVATE_C = word(Verb.ACTIVATE, model=B), word(Verb.ACTIVATE, model=C)
START, STOP, BACK = word(Verb.START, experiment=TRIAL), word(Verb.STOP), word(Verb.ROLL_BACK)


def test_the_newest_version_counts_and_each_one_before_can_be_had_back() -> None:
    assert in_force([]).model(LINEAR_1) == LINEAR_1
    assert in_force([ACTIVATE_B, ACTIVATE_C]).model(LINEAR_1) == C
    assert in_force([ACTIVATE_B, ACTIVATE_C, BACK]).model(LINEAR_1) == B
    assert in_force([ACTIVATE_B, ACTIVATE_B, BACK]).model(LINEAR_1) == LINEAR_1
    many = [word(Verb.ACTIVATE, model=model) for model in (B, C) * KEPT_ACTIVATIONS]
    assert len(in_force(many).activations) == KEPT_ACTIVATIONS


def test_an_experiment_ends_with_the_next_word_and_what_counted_before_it_counts() -> None:
    running = in_force([ACTIVATE_B, replace(START, number=7)])
    assert running.experiment is not None and running.experiment.number == 7
    for ending in (STOP, BACK):
        assert after(running, ending) == InForce((B,))
    assert after(running, ACTIVATE_C) == InForce((B, C)), "a word about all pools"


def test_a_word_that_nobody_understands_changes_nothing_and_is_named() -> None:
    odd = word(Verb.STOP, number=3, unreadable="a term of tomorrow")
    state = in_force([ACTIVATE_B, odd])
    assert state.model(LINEAR_1) == B and state.unreadable == "word 3: a term of tomorrow"
    assert in_force([ACTIVATE_B, odd, ACTIVATE_C]).unreadable == ""


@pytest.mark.parametrize(
    ("words", "said", "reason"),
    [
        ([START], ACTIVATE_B, "EXPERIMENT_RUNS"),
        ([START], START, "EXPERIMENT_RUNS"),
        ([], STOP, "NO_EXPERIMENT"),
        ([], BACK, "NOTHING_BEFORE"),
        ([ACTIVATE_B, BACK], BACK, "NOTHING_BEFORE"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[Word], said: Word, reason: str) -> None:
    with pytest.raises(WordRefused) as refused:
        check(in_force(words), said)
    assert (refused.value.field, refused.value.reason) == ("pool", reason)


def test_everywhere_stopping_and_going_back_always_make_sense() -> None:
    for verb in (Verb.STOP, Verb.ROLL_BACK):
        check(InForce(), word(verb, pool=ALL_POOLS))
        assert after(InForce(), word(verb, pool=ALL_POOLS)) == InForce()


@given(st.lists(st.sampled_from([ACTIVATE_B, ACTIVATE_C, START, STOP, BACK]), max_size=30))
def test_whatever_is_said_one_version_counts(words: list[Word]) -> None:
    said, state = [], InForce()
    for one in words:
        try:
            check(state, one)
        except WordRefused:
            continue
        said.append(one)
        state = after(state, one)
    assert state == in_force(said)
    assert state.model(LINEAR_1) in (LINEAR_1, B, C)


def test_each_window_has_its_arm_until_the_last_one() -> None:
    arms = [TRIAL.arm_at(1_000.0 + 60.0 * number) for number in range(TRIAL.windows)]
    assert [arm is not None and arm[1] for arm in arms] == list(range(12))
    assert {arm[0].version for arm in arms[:2] if arm is not None} == {"b", "c"}
    assert TRIAL.arm_at(999.0) is None and TRIAL.arm_at(1_000.0 + 60.0 * 12) is None


def test_an_experiment_that_cannot_be_is_refused() -> None:
    for change, reason in (({"models": (C, B)}, "ARMS"), ({"blocks": 5}, "BLOCKS")):
        with pytest.raises(WordRefused) as refused:
            replace(TRIAL, **change)
        assert refused.value.reason == reason
    with pytest.raises(WordRefused):
        replace(TRIAL, blocks=MOST_BLOCKS + 1)
