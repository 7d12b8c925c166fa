from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inyeon_edge.temporal.masks import MaskSmoother, Smoothing, smoothed

pytestmark = pytest.mark.unit

share = st.floats(0, 1, width=32)


@given(arrays(np.float32, (3, 4), elements=share), arrays(np.float32, (3, 4), elements=share))
def test_a_smoothed_mask_lies_between_old_and_new(old: np.ndarray, new: np.ndarray) -> None:
    made = smoothed(old, new, Smoothing())
    assert made.dtype == np.float32
    assert (made >= np.minimum(old, new) - 1e-6).all()
    assert (made <= np.maximum(old, new) + 1e-6).all()


def test_trembling_is_damped_and_a_person_who_leaves_leaves_no_ghost() -> None:
    rule = Smoothing()
    here, gone = np.full((1, 1), 0.95, np.float32), np.full((1, 1), 0.05, np.float32)
    assert smoothed(here, gone, rule)[0, 0] == pytest.approx(0.05)
    trembled = smoothed(here, here - np.float32(0.05), rule)[0, 0]
    assert 0.95 - trembled == pytest.approx(0.05 * (0.2 + 0.8 * 0.01), rel=1e-4)


def test_flicker_falls_by_more_than_forty_percent() -> None:
    rng = np.random.default_rng(1)
    smoother = MaskSmoother()
    edge = np.full((64, 64), 0.5, np.float32)
    raw = [
        np.clip(edge + rng.normal(0, 0.08, edge.shape), 0, 1).astype(np.float32) for _ in range(40)
    ]
    kept = [smoother(mask).copy() for mask in raw]

    def flips(masks: list[np.ndarray]) -> float:
        return float(np.mean([(a > 0.5) != (b > 0.5) for a, b in pairwise(masks)]))

    assert flips(kept) < 0.6 * flips(raw)


def test_another_shape_and_forgetting_start_anew() -> None:
    smoother = MaskSmoother()
    one, zero = np.ones((2, 2), np.float32), np.zeros((3, 2), np.float32)
    assert (smoother(one) == 1).all()
    assert (smoother(zero) == 0).all()
    smoother.forget()
    assert (smoother(zero + np.float32(0.3)) == np.float32(0.3)).all()


def test_the_caller_s_mask_is_not_kept_by_reference() -> None:
    smoother = MaskSmoother()
    mask = np.ones((2, 2), np.float32)
    kept = smoother(mask)
    mask[:] = 0
    assert (kept == 1).all()
