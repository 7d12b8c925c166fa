from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.effects import BackgroundBlur
from inyeon_edge.errors import ShapeError

pytestmark = pytest.mark.unit


def noise(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


def test_the_person_stays_and_the_room_is_blurred() -> None:
    image = noise(120, 160)
    mask = np.zeros((120, 160), np.float32)
    mask[:, 80:] = 1
    made = BackgroundBlur()(image, mask)
    assert np.abs(made[:, 80:].astype(int) - image[:, 80:]).max() <= 1
    assert made[:, :76].std() < image[:, :76].std() / 4


def test_blending_is_exact_to_one_step() -> None:
    image, mask = noise(48, 64), np.full((48, 64), 0.25, np.float32)
    blur = BackgroundBlur()
    want = image * 0.25 + blur.whole(image) * 0.75
    assert np.abs(blur(image, mask) - want).max() <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(1, 1), (1, 9), (30, 4000), (4000, 30), (3, 2), (17, 33), (240, 320)]),
    st.sampled_from([(1, 1), (144, 256), (256, 256), (5, 3)]),
    st.floats(0, 1, width=32),
)
def test_any_size_of_picture_and_mask(
    size: tuple[int, int], mask_size: tuple[int, int], share: float
) -> None:
    image = noise(*size)
    made = BackgroundBlur()(image, np.full(mask_size, share, np.float32))
    assert made.shape == image.shape
    assert made.dtype == np.uint8
    assert not np.shares_memory(made, image)


@pytest.mark.parametrize(
    "mask",
    [
        np.full((2, 2), np.nan, np.float32),
        np.full((2, 2), np.inf, np.float32),
        np.full((2, 2), -0.1, np.float32),
        np.zeros((2, 2, 1), np.float32),
        np.zeros((0, 2), np.float32),
        np.zeros((2, 2), np.float64),
    ],
)
def test_a_wrong_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ShapeError) as raised:
        BackgroundBlur()(noise(4, 4), mask)
    assert raised.value.field == "mask"
