"""A still picture under a camera that slowly pans and zooms, so that frames change."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from inyeon_edge.capture.source import Pace
from inyeon_edge.errors import ShapeError, UndecodableSource
from inyeon_edge.frame import Frame, Image, as_rgb

SWAY = 0.04  # of each side: a head sways about that much before a laptop
PERIOD_FRAMES = 150  # 10 s at 15 fps
LARGEST_PX = 1280  # larger pictures are shrunk once; no camera of a call gives more


class PictureSource:
    """A picture file as an endless camera; gray, alpha and 16 bit are taken."""

    def __init__(self, path: Path, fps: float | None, loop: bool = True) -> None:
        self._picture = read_picture(path)
        self._pace = Pace(fps)
        self._count = None if loop else PERIOD_FRAMES

    def frames(self) -> Iterator[Frame]:
        """As Source."""
        index = 0
        while self._pace.wait() and index != self._count:
            yield Frame(swayed(self._picture, index), index, time.monotonic())
            index += 1

    def close(self) -> None:
        """As Source."""
        self._pace.close()


def read_picture(path: Path) -> Image:
    """RGB of any picture OpenCV reads, sides at most LARGEST_PX; raises UndecodableSource."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UndecodableSource(f"{path} cannot be read: {error}", field="source") from error
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if picture is None:
        raise UndecodableSource(f"{path.name} is no picture", field="source")
    try:
        rgb = as_rgb(_channels_turned(np.asarray(picture)))
    except ShapeError as error:
        raise UndecodableSource(f"{path.name}: {error}", field="source") from error
    return _shrunk(rgb)


def swayed(picture: Image, index: int) -> Image:
    """The picture moved and scaled by up to SWAY; same size, edges mirrored."""
    rows, columns = picture.shape[:2]
    turn = 2 * math.pi * index / PERIOD_FRAMES
    zoom = 1 + SWAY * (1 + math.sin(turn))
    shift_x = SWAY / 2 * columns * math.sin(2 * turn) - (zoom - 1) * columns / 2
    shift_y = SWAY / 2 * rows * math.cos(turn) - (zoom - 1) * rows / 2
    move = np.array([[zoom, 0, shift_x], [0, zoom, shift_y]], np.float32)
    return np.asarray(
        cv2.warpAffine(picture, move, (columns, rows), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _channels_turned(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 3 and picture.shape[2] == 3:
        return picture[:, :, ::-1]
    if picture.ndim == 3 and picture.shape[2] == 4:
        return picture[:, :, [2, 1, 0, 3]]
    return picture


def _shrunk(picture: Image) -> Image:
    rows, columns = picture.shape[:2]
    scale = LARGEST_PX / max(rows, columns)
    if scale >= 1:
        return picture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
