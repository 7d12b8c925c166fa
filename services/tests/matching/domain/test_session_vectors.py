"""Session vectors: what was liked longest and latest weighs most, and nothing broken gets in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.session_vectors import (
    HALF_LIFE_S,
    LONG_S,
    SHORT_S,
    USUAL_S,
    SessionVector,
    absorbed,
    faded,
    session_term,
)

pytestmark = pytest.mark.unit

SPACE = Space("m", "1", 4, Encoding.FLOAT16, 0.0)
OTHER = Space("m", "2", 4, Encoding.FLOAT16, 0.0)


def interests(*numbers: float, space: Space = SPACE) -> Interests:
    return read_interests(space, np.array(numbers, "<f2").tobytes())


X, Y = interests(1, 0, 0, 0), interests(0, 1, 0, 0)


def known(*talks: tuple[Interests, float, float]) -> SessionVector:
    vector = None
    for partner, length_s, now_s in talks:
        vector = absorbed(vector, partner, length_s, now_s)
    assert vector is not None
    return vector


def test_longer_than_usual_draws_near_and_shorter_pushes_away() -> None:
    assert known((X, 4 * USUAL_S, 0.0)).direction.tolist() == [0.5, 0, 0, 0]
    assert known((X, USUAL_S / 4, 0.0)).direction.tolist() == [-0.5, 0, 0, 0]
    assert known((X, USUAL_S, 0.0)).direction.tolist() == [0.0, 0, 0, 0]
    assert known((X, 4 * USUAL_S, 0.0)).direction.dtype == np.float32
    assert known((X, 2 * USUAL_S, 0.0)).trust == pytest.approx(1 / 3)


def test_no_conversation_counts_more_than_one() -> None:
    longest, day = known((X, LONG_S, 0.0)), known((X, 86_400.0, 0.0))
    assert longest.counted == 1.0 and (day.direction == longest.direction).all()
    assert day.usual_log == longest.usual_log


def test_usual_is_what_this_person_usually_does() -> None:
    """Four minutes say much of somebody who leaves early, and nothing of a patient one."""
    hasty = known(*[(Y, 15.0, 0.0)] * 9)
    patient = known(*[(Y, 240.0, 0.0)] * 99)
    counts = [absorbed(before, X, 240.0, 0.0) for before in (hasty, patient)]
    assert [round(float(after.total[0]), 1) for after in counts if after] == [1.0, 0.0]


def test_what_was_late_weighs_most() -> None:
    later = known((X, 4 * USUAL_S, 0.0), (Y, LONG_S, HALF_LIFE_S)).direction
    assert later[1] == pytest.approx(2 * later[0])


def test_contradicting_conversations_say_nothing() -> None:
    away = interests(-1, 0, 0, 0)
    vector = known((X, LONG_S, 0.0), (away, LONG_S, 0.0))
    assert np.abs(vector.direction).max() < 1e-6 and vector.trust > 0.5


@pytest.mark.parametrize("length_s", [0.0, SHORT_S - 0.1, -5.0, math.nan, -math.inf])
def test_a_very_short_or_unknown_conversation_changes_nothing(length_s: float) -> None:
    assert absorbed(None, X, length_s, 0.0) is None
    vector = known((X, LONG_S, 0.0))
    assert absorbed(vector, Y, length_s, 5.0) is vector


def test_another_space_starts_anew() -> None:
    elsewhere = interests(0, 1, 0, 0, space=OTHER)
    vector = known((X, LONG_S, 0.0), (elsewhere, LONG_S, 1.0))
    assert vector.space == OTHER and vector.direction.tolist() == [0, 0.5, 0, 0]


def test_what_has_faded_is_forgotten() -> None:
    vector = known((X, LONG_S, 0.0))
    half = faded(vector, HALF_LIFE_S)
    assert half is not None and half.counted == half.talks == pytest.approx(0.5)
    assert faded(vector, 10 * HALF_LIFE_S) is None
    assert half.usual_log < vector.usual_log
    fresh = absorbed(vector, Y, LONG_S, 20 * HALF_LIFE_S)
    assert fresh is not None and fresh.direction.tolist() == [0, 0.5, 0, 0]


def test_a_clock_that_went_back_fades_nothing() -> None:
    vector = known((X, LONG_S, 100.0))
    back = faded(vector, 50.0)
    assert back is not None and (back.counted, back.at_s) == (vector.counted, 100.0)


talks = st.lists(
    st.tuples(st.sampled_from([X, Y]), st.floats(SHORT_S, math.inf), st.floats(0, 1e9)), min_size=1
)


@given(talks)
def test_a_direction_is_never_longer_than_its_trust(
    heard: list[tuple[Interests, float, float]],
) -> None:
    vector = known(*heard)
    assert float(np.linalg.norm(vector.direction)) <= vector.trust + 1e-6 <= 1 + 1e-6
    assert np.isfinite(vector.direction).all()


def test_the_term_is_mutual_and_bounded() -> None:
    x, y, none = X.direction[None], Y.direction[None], np.zeros((1, 4), np.float32)
    assert session_term((none, none), (x, y)) == [0.5]
    assert session_term((x, x), (y, x)) == pytest.approx([0.75])
    assert session_term((y, x), (x, y)) == pytest.approx([1.0])
    assert session_term((-y, -x), (x, y)) == pytest.approx([0.0])
    assert session_term((y, none), (x, y)) == session_term((none, y), (y, x))
