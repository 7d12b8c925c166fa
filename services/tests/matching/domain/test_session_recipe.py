"""The encoder's batched recipe and matching's rule for one conversation are the same function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.inference import session_recipe as recipe
from inyeon.matching.domain import session_vectors
from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.session_vectors import SessionVector, absorbed

pytestmark = pytest.mark.unit

DIMS = 5
SPACE = Space("interests", "1", DIMS, Encoding.INT8, 1.0)
APART = 1e-9
"""Both are float64; only the order of sums differs."""

vectors = st.lists(st.integers(-127, 127), min_size=DIMS, max_size=DIMS).filter(any)
talks = st.lists(
    st.tuples(vectors, st.floats(0.0, 5_000.0), st.floats(-60.0, 40_000.0)), min_size=1, max_size=8
)


def interests(numbers: list[int]) -> Interests:
    return read_interests(SPACE, np.array(numbers, np.int8).tobytes())


def row(vector: SessionVector | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if vector is None:
        return np.zeros(DIMS + recipe.SUMS)
    return np.array([*vector.total, vector.counted, vector.talks, vector.logs, vector.at_s])


def test_their_numbers_are_the_same() -> None:
    for name in ("HALF_LIFE_S", "SHORT_S", "LONG_S", "USUAL_S", "DOUBLINGS", "FADED"):
        assert getattr(recipe, name) == getattr(session_vectors, name)


@given(st.lists(talks, min_size=1, max_size=3))
def test_they_say_the_same(people: list[list[tuple[list[int], float, float]]]) -> None:
    """Gaps may go back: a clock that was set must not matter."""
    expected = []
    asked = np.zeros((len(people), recipe.TALKS, 2))
    partners = np.zeros((len(people), recipe.TALKS, DIMS), np.float32)
    for person, heard in enumerate(people):
        known, now_s = None, 1_000_000.0
        for number, (numbers, length_s, gap_s) in enumerate(heard):
            now_s += gap_s
            partner = interests(numbers)
            known = absorbed(known, partner, length_s, now_s)
            asked[person, number] = now_s, length_s
            partners[person, number] = partner.direction
        expected.append(row(known))
    encoded = recipe.encode(np.zeros((len(people), DIMS + recipe.SUMS)), asked, partners)
    np.testing.assert_allclose(encoded, np.array(expected), atol=APART, rtol=APART)
