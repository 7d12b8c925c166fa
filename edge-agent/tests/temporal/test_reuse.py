from __future__ import annotations

import numpy as np
import pytest

from inyeon_edge.temporal.reuse import IDENTICAL_DB, MaskReuse, ReuseRule, psnr_db

pytestmark = pytest.mark.unit


def luma(value: int) -> np.ndarray:
    return np.full((4, 4), value, np.uint8)


def test_psnr_of_known_pictures() -> None:
    assert psnr_db(luma(9), luma(9)) == IDENTICAL_DB
    assert psnr_db(luma(0), luma(255)) == 0
    assert psnr_db(luma(100), luma(101)) == pytest.approx(48.13, abs=0.01)
    assert psnr_db(luma(1), np.zeros((2, 2), np.uint8)) == 0


def test_one_step_in_one_pixel_is_not_identical() -> None:
    one = np.zeros((120, 160), np.uint8)
    other = one.copy()
    other[3, 3] = 1
    assert psnr_db(one, other) == pytest.approx(90.96, abs=0.01)


def test_a_mask_holds_while_nothing_moves_but_not_for_ever() -> None:
    reuse = MaskReuse(ReuseRule(still_db=40, longest=2))
    assert not reuse.holds(luma(100))
    reuse.segmented(luma(100))
    assert reuse.holds(luma(101)) and reuse.holds(luma(100))
    assert not reuse.holds(luma(100))
    reuse.segmented(luma(100))
    assert reuse.holds(luma(100))


def test_slow_drift_adds_up() -> None:
    reuse = MaskReuse(ReuseRule(still_db=40, longest=100))
    reuse.segmented(luma(100))
    held = [reuse.holds(luma(100 + step)) for step in range(6)]
    assert held[:2] == [True, True]
    assert not held[5]


def test_forgetting_ends_it() -> None:
    reuse = MaskReuse()
    reuse.segmented(luma(7))
    reuse.forget()
    assert not reuse.holds(luma(7))
