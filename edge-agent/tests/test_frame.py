from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import LARGEST_SIDE_PX, as_rgb, fit

pytestmark = pytest.mark.unit

SIDES = st.sampled_from([(1, 1), (1, 4000), (4000, 30), (30, 4000), (2, 3), (144, 176), (480, 640)])


@settings(max_examples=60, deadline=None)
@given(SIDES, st.sampled_from([None, 1, 2, 3, 4]), st.sampled_from([np.uint8, np.uint16]))
def test_any_camera_picture_becomes_rgb(
    size: tuple[int, int], channels: int | None, dtype: type[np.generic]
) -> None:
    shape = size if channels is None else (*size, channels)
    made = as_rgb(np.full(shape, 255 if dtype is np.uint8 else 65535, dtype))
    assert made.shape == (*size, 3)
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    assert (made == 255).all()


def test_alpha_lies_over_mid_gray() -> None:
    clear = np.array([[[200, 10, 10, 0], [200, 10, 10, 255]]], np.uint8)
    assert as_rgb(clear).tolist() == [[[128, 128, 128], [200, 10, 10]]]


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 5), np.uint8),
        np.zeros((5,), np.uint8),
        np.zeros((1, LARGEST_SIDE_PX + 1, 3), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((5, 5, 3), np.int64),
    ],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ShapeError) as raised:
        as_rgb(picture)
    assert raised.value.field == "image"


@settings(max_examples=40, deadline=None)
@given(SIDES, st.sampled_from([(320, 240), (2, 2), (240, 320)]))
def test_fit_gives_the_size_asked_for(size: tuple[int, int], target: tuple[int, int]) -> None:
    made = fit(np.zeros((*size, 3), np.uint8), *target)
    assert made.shape == (target[1], target[0], 3)


def test_fit_cuts_the_sides_and_stretches_nothing() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    assert (fit(wide, 100, 100) == 255).all()
