"""Pictures as the classifier wants them, from files, from clips and drawn by ourselves.

A picture is (height, width, 3) uint8, RGB. Everything here is deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError

Picture = NDArray[np.uint8]
Float = NDArray[np.float32]

CLASSIFIER_SIZE = 224


def decode_picture(name: str, data: bytes) -> Picture:
    """Decode PNG or JPEG; raises SourceError naming the file."""
    bgr = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SourceError(f"{name}: not a picture")
    return _rgb(np.asarray(bgr))


def clip_frames(path: Path, *, every: int) -> Iterator[Picture]:
    """Yield frame 0, `every`, 2 * `every` ...; raises SourceError where there is none."""
    capture = cv2.VideoCapture(str(path))
    number = 0
    try:
        while True:
            ok, bgr = capture.read()
            if not ok:
                break
            if number % every == 0:
                yield _rgb(np.asarray(bgr))
            number += 1
    finally:
        capture.release()
    if number == 0:
        raise SourceError(f"{path.name}: holds no frame that can be decoded")


def classifier_input(picture: Picture) -> Float:
    """(224, 224, 3) in [0, 1]: the whole picture squashed, corners aligned, no antialias.

    NSFWJS was trained and published with TF.js resizeBilinear(alignCorners=true); other samplings
    change its verdicts. Source sample of output i is i * (n - 1) / 223.
    """
    rows = _positions(picture.shape[0])
    columns = _positions(picture.shape[1])
    grid_x, grid_y = np.meshgrid(columns, rows)
    sampled = cv2.remap(picture.astype(np.float32), grid_x, grid_y, cv2.INTER_LINEAR)
    return np.asarray(sampled, dtype=np.float32) / np.float32(255.0)


def variants(picture: Picture) -> Iterator[Picture]:
    """The picture, its mirror, three crops, darker, brighter: what a camera may make of a scene."""
    yield picture
    yield np.ascontiguousarray(picture[:, ::-1])
    height, width = picture.shape[:2]
    for top, left in ((0.0, 0.0), (0.3, 0.3), (0.15, 0.0)):
        row, column = int(top * height), int(left * width)
        yield picture[row : row + int(0.7 * height), column : column + int(0.7 * width)]
    for gain in (0.55, 1.4):
        yield np.clip(picture * gain, 0, 255).astype(np.uint8)


def drawing(seed: int, size: int = 256) -> Picture:
    """An outlined flat-colour scene: a ground, a sky and six shapes, chosen by `seed`."""
    random = np.random.default_rng(seed)
    canvas = np.empty((size, size, 3), dtype=np.uint8)
    horizon = int(random.integers(size // 3, size))
    canvas[:horizon] = random.integers(0, 256, 3)
    canvas[horizon:] = random.integers(0, 256, 3)
    for _ in range(6):
        centre = tuple(int(value) for value in random.integers(0, size, 2))
        axes = tuple(int(value) for value in random.integers(size // 20, size // 4, 2))
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        angle = float(random.integers(0, 180))
        cv2.ellipse(canvas, centre, axes, angle, 0, 360, colour, -1)
        cv2.ellipse(canvas, centre, axes, angle, 0, 360, (0, 0, 0), 3)
    return canvas


def _positions(length: int) -> Float:
    return np.linspace(0, length - 1, CLASSIFIER_SIZE, dtype=np.float32)


def _rgb(bgr: NDArray[np.generic]) -> Picture:
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)
