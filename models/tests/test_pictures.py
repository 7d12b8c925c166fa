from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inyeon_models.errors import SourceError
from inyeon_models.pictures import (
    classifier_input,
    clip_frames,
    decode_picture,
    drawing,
    variants,
)

pytestmark = pytest.mark.unit


def test_a_picture_is_decoded_as_rgb() -> None:
    red = np.zeros((4, 5, 3), dtype=np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    data = cv2.imencode(".png", red)[1].tobytes()
    picture = decode_picture("red.png", data)
    assert picture.shape == (4, 5, 3)
    assert picture[0, 0].tolist() == [255, 0, 0]


def test_bytes_that_are_no_picture_are_refused_by_name() -> None:
    with pytest.raises(SourceError, match=r"x.png"):
        decode_picture("x.png", b"not a picture")


def test_the_classifier_sees_corners_on_corners() -> None:
    picture = np.zeros((10, 31, 3), dtype=np.uint8)
    picture[0, 0], picture[0, -1], picture[-1, 0], picture[-1, -1] = 10, 20, 30, 40
    seen = classifier_input(picture)
    assert seen.shape == (224, 224, 3)
    corners = [seen[0, 0, 0], seen[0, -1, 0], seen[-1, 0, 0], seen[-1, -1, 0]]
    np.testing.assert_allclose(np.asarray(corners) * 255, [10, 20, 30, 40], atol=1e-4)


def test_a_ramp_stays_a_ramp() -> None:
    """Bilinear with aligned corners reproduces a linear picture exactly: x * (n - 1) / 223."""
    picture = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 8, axis=0)
    seen = classifier_input(np.repeat(picture, 3, axis=2))
    expected = np.arange(224) * 99 / 223 / 255
    # cv2.remap interpolates in steps of 1/32 pixel: at most 1/64 of one grey level off
    np.testing.assert_allclose(seen[100, :, 1], expected, atol=1 / 64 / 255 + 1e-6)


def test_variants_are_seven_and_the_second_is_the_mirror() -> None:
    picture = drawing(1)
    made = list(variants(picture))
    assert len(made) == 7
    np.testing.assert_array_equal(made[1][:, ::-1], picture)
    assert made[5].mean() < picture.mean() < made[6].mean()


def test_drawings_differ_by_seed_and_only_by_seed() -> None:
    np.testing.assert_array_equal(drawing(3), drawing(3))
    assert (drawing(3) != drawing(4)).any()


def test_frames_of_a_clip_are_taken_at_a_stride(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in range(10):
        writer.write(np.full((48, 64, 3), level * 20, dtype=np.uint8))
    writer.release()
    levels = [round(float(frame.mean()) / 20) for frame in clip_frames(path, every=4)]
    assert levels == [0, 4, 8]


def test_an_undecodable_clip_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a clip")
    with pytest.raises(SourceError, match=r"broken.mp4"):
        list(clip_frames(path, every=1))
