"""Whatever fails, the raw picture is not shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from inyeon_edge.effects import BackgroundBlur, Compositor, CoverCard
from inyeon_edge.effects.cover import draw_card

pytestmark = pytest.mark.unit

IMAGE = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
MASK = np.full((12, 16), 0.5, np.float32)
Image = NDArray[np.uint8]


def raising(*_: object) -> Image:
    raise RuntimeError("broken")


WRONG_BLURS: dict[str, Callable[[Image, NDArray[np.float32]], Image]] = {
    "raises": raising,
    "other size": lambda image, mask: image[:10].copy(),
    "other dtype": lambda image, mask: image.astype(np.float32),
    "the raw picture": lambda image, mask: image,
    "a view of the raw picture": lambda image, mask: image[:],
}
WRONG_CARDS: dict[str, Callable[[int, int], Image]] = {
    "raises": raising,
    "other size": lambda wide, high: np.zeros((1, 1, 3), np.uint8),
    "other dtype": lambda wide, high: np.zeros((high, wide, 3), np.int64),
}


def test_all_well_blurs() -> None:
    made = Compositor(BackgroundBlur(), CoverCard()).compose(IMAGE, MASK)
    assert (made.blurred, made.covered, made.failure) == (True, False, "")


@pytest.mark.parametrize("blur", WRONG_BLURS.values(), ids=list(WRONG_BLURS))
def test_a_failed_blur_covers(blur: Callable[[Image, NDArray[np.float32]], Image]) -> None:
    compositor = Compositor(blur, CoverCard())
    made = compositor.compose(IMAGE, MASK)
    assert made.covered and not made.blurred
    assert made.failure.startswith("BLUR_FAILED")
    assert (made.image == draw_card(64, 48)).all()
    assert compositor.failures == 1


@pytest.mark.parametrize(
    "mask", [None, np.full((2, 2), np.nan, np.float32), np.zeros((2, 2, 2), np.float32)]
)
def test_no_usable_mask_covers(mask: NDArray[np.float32] | None) -> None:
    made = Compositor(BackgroundBlur(), CoverCard()).compose(IMAGE, mask)
    assert made.covered
    assert (made.image == draw_card(64, 48)).all()


@pytest.mark.parametrize("card", WRONG_CARDS.values(), ids=list(WRONG_CARDS))
@pytest.mark.parametrize("blur", WRONG_BLURS.values(), ids=list(WRONG_BLURS))
def test_a_failed_cover_is_black(
    blur: Callable[[Image, NDArray[np.float32]], Image], card: Callable[[int, int], Image]
) -> None:
    made = Compositor(blur, card).compose(IMAGE, MASK)
    assert made.covered
    assert made.image.shape == IMAGE.shape
    assert not made.image.any()


def test_the_card_holds_nothing_of_the_picture() -> None:
    compositor = Compositor(BackgroundBlur(), CoverCard())
    one = compositor.cover(IMAGE).image
    other = compositor.cover(np.zeros_like(IMAGE)).image
    assert (one == other).all()


def test_writing_to_a_card_does_not_spoil_the_next() -> None:
    card = CoverCard()
    card(8, 8)[:] = 0
    assert card(8, 8).any()


@pytest.mark.parametrize("size", [(1, 1), (4000, 30), (30, 4000), (2, 1)])
def test_cards_of_odd_sizes(size: tuple[int, int]) -> None:
    assert CoverCard()(*size).shape == (size[1], size[0], 3)
