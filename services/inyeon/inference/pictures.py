"""Pictures as the image filters want them.

The whole picture squashed to (side, side), bilinear with corners aligned and no antialias, RGB in
[0, 1]: the sampling that these filters were trained and published with (TF.js resizeBilinear,
alignCorners). Output i samples the source at i * (n - 1) / (side - 1). Another sampling doubles the
false alarms on harmless video.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon.runtime.errors import InvalidRequest

Picture = NDArray[np.uint8]
Float = NDArray[np.float32]

MAX_SIDE = 4096  # 50 MB; evidence is a small crop


def check_picture(picture: NDArray[Any]) -> None:
    """Raises InvalidRequest unless it is (height, width, 3) uint8 with sides of 1 to MAX_SIDE."""
    fits = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    if not fits or not all(1 <= side <= MAX_SIDE for side in picture.shape[:2]):
        message = f"a picture is (height, width, 3) uint8 with sides of 1 to {MAX_SIDE} pixels"
        raise InvalidRequest(message, field="picture")


def model_input(picture: Picture, side: int) -> Float:
    """(1, side, side, 3) float32 in [0, 1]."""
    rows = _interpolated(picture.astype(np.float32), side, axis=0)
    return _interpolated(rows, side, axis=1)[None] / np.float32(255.0)


def _interpolated(values: Float, side: int, axis: int) -> Float:
    length = values.shape[axis]
    places = np.linspace(0.0, length - 1, side)
    low = np.floor(places).astype(np.intp)
    high = np.minimum(low + 1, length - 1)
    shape = [1, 1, 1]
    shape[axis] = side
    share = (places - low).astype(np.float32).reshape(shape)
    before, after = values.take(low, axis=axis), values.take(high, axis=axis)
    return np.asarray(before + (after - before) * share, dtype=np.float32)
