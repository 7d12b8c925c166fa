"""One picture on its way through the agent."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon_edge.errors import ShapeError

LARGEST_SIDE_PX = 8192  # 8K UHD is 7680 wide; anything larger is no camera and would cost > 200 MB

Image = NDArray[np.uint8]
"""Shape (H, W, 3), dtype uint8, RGB, C-contiguous."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A captured picture. The array is never written to after capture."""

    image: Image
    """Shape (H, W, 3), uint8, RGB."""
    index: int
    """Counts what the source gave, from 0; gaps are frames dropped because newer ones came."""
    captured_s: float
    """Monotonic clock of this process, seconds."""


def as_rgb(picture: NDArray[np.generic]) -> Image:
    """Gray (H, W) or (H, W, 1), gray with alpha (H, W, 2), RGB or RGBA as RGB; 16 bit cut to 8.

    Alpha is laid over mid gray. Raises ShapeError for other shapes, other dtypes and for sides that
    are 0 or above LARGEST_SIDE_PX.
    """
    pixels = _as_uint8(picture)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    _check(pixels)
    channels = pixels.shape[2]
    colour = pixels[:, :, :3] if channels >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    if channels in (2, 4):
        colour = _over_gray(colour, pixels[:, :, channels - 1 :])
    return np.ascontiguousarray(colour)


def fit(image: Image, width: int, height: int) -> Image:
    """Scaled to cover width x height and cut in the middle, so that nothing is stretched."""
    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return image
    scale = max(width / columns, height / rows)
    wide, high = max(width, round(columns * scale)), max(height, round(rows * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (wide - width) // 2, (high - height) // 2
    if (
        wide * high > 4 * LARGEST_SIDE_PX * 1024
    ):  # a sliver such as 4000x1 would explode: stretch it
        return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)
    scaled = np.asarray(cv2.resize(image, (wide, high), interpolation=way), np.uint8)
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _as_uint8(picture: NDArray[np.generic]) -> NDArray[np.uint8]:
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    if picture.dtype == np.uint16:
        return (picture.astype(np.uint16) >> 8).astype(np.uint8)
    raise ShapeError(f"a picture has uint8 or uint16 values, not {picture.dtype}", field="image")


def _check(pixels: NDArray[np.uint8]) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ShapeError(f"a picture has 1 to 4 channels, not shape {pixels.shape}", field="image")
    if not all(1 <= side <= LARGEST_SIDE_PX for side in pixels.shape[:2]):
        raise ShapeError(
            f"sides must be 1 to {LARGEST_SIDE_PX} pixels, not {pixels.shape[:2]}", field="image"
        )


def _over_gray(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = alpha.astype(np.uint16)
    return ((colour * share + 128 * (255 - share)) // 255).astype(np.uint8)
