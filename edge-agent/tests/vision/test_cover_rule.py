from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_edge.vision.cover_rule import DEFAULT_COVER_AT, QUIET_S, LocalCover
from inyeon_edge.vision.results import CLASSES

pytestmark = pytest.mark.unit


def test_the_first_score_at_its_bar_covers() -> None:
    for name, bar in DEFAULT_COVER_AT.items():
        rule = LocalCover()
        assert not rule.scored({name: bar - 0.01}, 0.0)
        assert rule.scored({name: bar}, 0.5)
        assert rule.reason == f"LOCAL_{name.upper()}"


def test_quiet_and_clear_uncover_and_neither_alone() -> None:
    rule = LocalCover({"Porn": 0.6})
    rule.scored({"Porn": 0.9}, 0.0)
    assert rule.scored({"Porn": 0.0}, 1.0)
    assert rule.scored({"Porn": 0.0}, 1.0 + QUIET_S)  # quiet, but the verdict is not CLEAR
    rule.verdict_clear = True
    assert not rule.scored({"Porn": 0.0}, 1.5 + QUIET_S)
    rule.scored({"Porn": 0.9}, 10.0)
    assert rule.scored({"Porn": 0.0}, 11.0)  # CLEAR, but not quiet for long


def test_scores_just_below_the_bar_are_not_quiet() -> None:
    rule = LocalCover({"Porn": 0.6})
    rule.verdict_clear = True
    rule.scored({"Porn": 0.6}, 0.0)
    assert all(rule.scored({"Porn": 0.5}, at_s) for at_s in (1.0, 2.0, 9.0))


def test_a_clock_that_jumps_back_restarts_the_quiet() -> None:
    rule = LocalCover({"Porn": 0.6})
    rule.verdict_clear = True
    rule.scored({"Porn": 0.9}, 100.0)
    assert rule.scored({"Porn": 0.0}, 101.0)
    assert rule.scored({"Porn": 0.0}, 5.0)
    assert not rule.scored({"Porn": 0.0}, 5.0 + QUIET_S)


def test_a_policy_replaces_the_bars_and_an_empty_one_does_not() -> None:
    rule = LocalCover()
    rule.use_policy({})
    assert rule.scored({"Drawing": 0.9}, 0.0)
    other = LocalCover()
    other.use_policy({"Neutral": 0.5, "Unheard-of": 0.1})
    assert not other.scored({"Drawing": 1.0, "Neutral": 0.0}, 0.0)
    assert other.scored({"Neutral": 0.5}, 0.0)


def test_a_bar_of_zero_always_covers() -> None:
    assert LocalCover({"Sexy": 0.0}).scored({"Sexy": 0.0}, 0.0)


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.sampled_from(CLASSES), st.floats(0, 1)), max_size=30
    )
)
def test_at_or_above_a_bar_is_always_covered(
    scores: list[tuple[float, str, float]],
) -> None:
    rule = LocalCover()
    rule.verdict_clear = True
    for at_s, name, score in scores:
        covered = rule.scored({name: score}, at_s)
        assert covered or score < DEFAULT_COVER_AT.get(name, 2)
