from __future__ import annotations

import numpy as np
import pytest

from inyeon_edge.vision.anchors import (
    FACE_FULL,
    FACE_SHORT,
    POSE,
    Box,
    boxes,
    centres,
    overlap,
    thinned,
)

pytestmark = pytest.mark.unit


def test_counts_are_the_models_own() -> None:
    assert [len(centres(grid)) for grid in (FACE_SHORT, FACE_FULL, POSE)] == [896, 2304, 2254]


def test_anchors_go_row_by_row_with_repeats_together() -> None:
    made = centres(FACE_SHORT)
    assert made[0] == pytest.approx([1 / 32, 1 / 32])
    assert made[1] == pytest.approx(made[0])
    assert made[2] == pytest.approx([3 / 32, 1 / 32])
    assert made[512] == pytest.approx([1 / 16, 1 / 16])


def test_boxes_come_best_first_and_above_the_floor() -> None:
    anchors = np.array([[0.5, 0.5], [0.25, 0.25], [0.1, 0.1]], np.float32)
    raw = np.array([[10, 0, 20, 40], [0, 0, 10, 10], [0, 0, 1, 1]], np.float32)
    found = boxes(raw, np.array([0.6, 0.9, 0.4], np.float32), anchors, 100, 0.5)
    assert [box.score for box in found] == pytest.approx([0.9, 0.6])
    second = found[1]
    assert (second.left, second.top, second.right, second.bottom) == pytest.approx(
        (0.5, 0.3, 0.7, 0.7)
    )


def test_overlap_of_known_boxes() -> None:
    one = Box(1, 0, 0, 1, 1)
    assert overlap(one, one) == 1
    assert overlap(one, Box(1, 0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)
    assert overlap(one, Box(1, 2, 2, 3, 3)) == 0
    assert overlap(Box(1, 0, 0, 0, 0), Box(1, 0, 0, 0, 0)) == 0


def test_heaps_are_thinned_to_their_best() -> None:
    best, same, other = Box(0.9, 0, 0, 1, 1), Box(0.8, 0.1, 0, 1.1, 1), Box(0.7, 3, 3, 4, 4)
    assert thinned([best, same, other]) == [best, other]
