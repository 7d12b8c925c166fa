from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from inyeon_edge.drawn import DRAWINGS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", list(DRAWINGS))
def test_drawings_are_camera_pictures_that_change_and_repeat_exactly(name: str) -> None:
    one, again = DRAWINGS[name](), DRAWINGS[name]()
    frames = [one(number) for number in range(20)]
    for number, frame in enumerate(frames):
        assert frame.shape == (480, 640, 3)
        assert frame.dtype == np.uint8
        assert (frame == again(number)).all()
    assert all((a != b).any() for a, b in pairwise(frames))


def test_the_light_of_the_room_changes() -> None:
    room = DRAWINGS["empty-room"]()
    means = [float(room(number).mean()) for number in (37, 112)]
    assert means[0] - means[1] > 20


def test_the_cartoon_is_flat_and_outlined() -> None:
    frame = DRAWINGS["cartoon"]()(0)
    colours, counts = np.unique(frame.reshape(-1, 3), axis=0, return_counts=True)
    assert np.sort(counts)[::-1][:10].sum() > 0.9 * 480 * 640
    assert (colours[np.argsort(-counts)[:10]] == 0).all(axis=1).any()
