from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inyeon_edge.errors import ModelCorrupt, ShapeError
from inyeon_edge.vision.embedder import (
    SIZE_BYTES,
    ContentEmbedder,
    ContentPca,
    int8_scaled,
    load_pca,
    perceptual_hash,
)

pytestmark = pytest.mark.unit


def picture(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


def dihedral(image: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(image, k) for k in range(4)]
    return [np.ascontiguousarray(t) for t in turned + [t[:, ::-1] for t in turned]]


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_is_the_same_for_all_eight_forms(seed: int) -> None:
    square = np.ascontiguousarray(picture(seed)[:, :240])
    hashes = {perceptual_hash(form) for form in dihedral(square)}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 8


def test_mirrored_camera_pictures_hash_alike_and_others_do_not() -> None:
    one, mirrored = picture(1), np.ascontiguousarray(picture(1)[:, ::-1])
    assert perceptual_hash(one) == perceptual_hash(mirrored)
    assert distance(one, picture(2)) > 12


def test_small_edits_move_few_bits() -> None:
    image = picture(4)
    blurred = cv2.GaussianBlur(image, (0, 0), 2)
    assert distance(image, np.asarray(blurred, np.uint8)) <= 8
    brighter = np.clip(image.astype(int) + 12, 0, 255).astype(np.uint8)
    assert distance(image, brighter) <= 8


def test_data_set_edits_of_one_photograph(vision_data: Path) -> None:
    image = cv2.imread(str(vision_data / "tfjs_portrait.jpg"))
    assert image is not None
    small = cv2.resize(image, (200, 250), interpolation=cv2.INTER_AREA)
    assert distance(np.asarray(image, np.uint8), np.asarray(small, np.uint8)) <= 4


def distance(one: np.ndarray, other: np.ndarray) -> int:
    a, b = (int.from_bytes(perceptual_hash(image), "big") for image in (one, other))
    return (a ^ b).bit_count()


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, 64, elements=st.floats(-1e4, 1e4, width=32)))
def test_int8_scaled_is_within_half_a_step(vector: np.ndarray) -> None:
    data = int8_scaled(vector)
    assert len(data) == SIZE_BYTES
    (scale,) = struct.unpack("<f", data[:4])
    back = np.frombuffer(data[4:], np.int8) * scale
    assert np.abs(back - vector).max() <= scale * 0.501 + 1e-30


def test_nan_has_no_vector() -> None:
    with pytest.raises(ShapeError):
        int8_scaled(np.full(64, np.nan, np.float32))


def test_the_embedder_centres_and_projects() -> None:
    pca = ContentPca(np.full(1280, 2, np.float32), np.eye(64, 1280, dtype=np.float32), "1-test")
    feature = np.full(1280, 2, np.float32)
    feature[3] = 129
    data = ContentEmbedder(pca)(feature)
    steps = np.frombuffer(data[4:], np.int8)
    assert struct.unpack("<f", data[:4])[0] == 1
    assert steps[3] == 127 and not np.delete(steps, 3).any()
    with pytest.raises(ShapeError):
        ContentEmbedder(pca)(feature[:5])
    assert ContentEmbedder(pca).version == "1-test"


@pytest.mark.parametrize(
    "arrays_in", [{}, {"mean": np.zeros(4), "components": np.zeros((3, 4)), "version": "1"}]
)
def test_a_wrong_reduction_file_is_named(tmp_path: Path, arrays_in: dict[str, object]) -> None:
    path = tmp_path / "pca.npz"
    np.savez(path, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays_in.items()})
    with pytest.raises(ModelCorrupt) as raised:
        load_pca(path)
    assert raised.value.field == "pca.npz"


def test_a_truncated_reduction_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pca.npz"
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(ModelCorrupt):
        load_pca(path)
