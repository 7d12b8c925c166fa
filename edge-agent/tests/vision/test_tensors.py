from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.errors import ShapeError
from inyeon_edge.vision.tensors import align_corners, finite, letterboxed, sigmoid, squashed

pytestmark = pytest.mark.unit

SIZES = [(1, 1), (1, 5), (4000, 30), (30, 4000), (224, 224), (3, 2)]


def noise(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (rows, columns, 3), np.uint8)


def test_align_corners_is_the_textbook_formula() -> None:
    image = noise(7, 11)
    made = align_corners(image, 5)[0]
    for i in range(5):
        for j in range(5):
            y, x = i * 6 / 4, j * 10 / 4
            top, left = int(y), int(x)
            bottom, right = min(top + 1, 6), min(left + 1, 10)
            u, v = y - top, x - left
            want = (
                image[top, left] * (1 - u) * (1 - v)
                + image[bottom, left] * u * (1 - v)
                + image[top, right] * (1 - u) * v
                + image[bottom, right] * u * v
            ) / 255
            assert made[i, j] == pytest.approx(want, abs=1e-6)


def test_corners_are_kept_and_nothing_is_smoothed() -> None:
    image = noise(900, 700)
    made = align_corners(image, 224)[0]
    assert made[0, 0] == pytest.approx(image[0, 0] / 255)
    assert made[-1, -1] == pytest.approx(image[-1, -1] / 255, abs=1e-5)
    assert made.std() > 0.18  # antialias would leave 0.07


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SIZES))
def test_any_size_gives_the_model_s_shape_and_range(size: tuple[int, int]) -> None:
    image = noise(*size)
    for made, low in (
        (align_corners(image, 224), 0),
        (squashed(image, 256, 144), 0),
        (letterboxed(image, 192)[0], -1),
    ):
        assert made.dtype == np.float32
        assert made.min() >= low - 1e-6 and made.max() <= 1 + 1e-6
    assert squashed(image, 256, 144).shape == (1, 144, 256, 3)


def test_letterbox_says_where_the_picture_lies() -> None:
    square, place = letterboxed(np.full((60, 120, 3), 255, np.uint8), 120)
    assert (place.left, place.top, place.wide, place.high) == (0, 0.25, 1, 0.5)
    assert square[0, 60, 60, 0] == pytest.approx(1)
    assert square[0, 0, 0, 0] == 0


def test_nan_is_named() -> None:
    with pytest.raises(ShapeError) as raised:
        finite("mask", np.array([np.nan], np.float32))
    assert raised.value.field == "mask"


def test_sigmoid_does_not_overflow() -> None:
    made = sigmoid(np.array([-1e9, 0, 1e9], np.float32))
    assert made == pytest.approx([0, 0.5, 1])
