"""Pictures as the models want them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from inyeon_edge.engine.session import Array
from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import Image


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies in a square input: x = (x_square - left) / share, in [0, 1] units."""

    left: float
    top: float
    wide: float
    high: float


def squashed(image: Image, width: int, height: int) -> Array:
    """(1, height, width, 3) float32 in [0, 1]; the whole picture, stretched to fit."""
    small = _resized(image, width, height)
    scaled = small.astype(np.float32)
    scaled *= np.float32(1 / 255)
    return np.asarray(scaled[None], np.float32)


def letterboxed(image: Image, side: int) -> tuple[Array, Letterbox]:
    """(1, side, side, 3) float32 in [-1, 1] with gray bars (0), and where the picture lies."""
    rows, columns = image.shape[:2]
    scale = side / max(rows, columns)
    wide, high = max(1, round(columns * scale)), max(1, round(rows * scale))
    left, top = (side - wide) // 2, (side - high) // 2
    square = np.zeros((1, side, side, 3), np.float32)
    small = _resized(image, wide, high)
    square[0, top : top + high, left : left + wide] = small
    inner = square[0, top : top + high, left : left + wide]
    inner *= np.float32(1 / 127.5)
    inner -= np.float32(1)
    return square, Letterbox(left / side, top / side, wide / side, high / side)


def align_corners(image: Image, side: int) -> Array:
    """(1, side, side, 3) float32 in [0, 1], bilinear, corners aligned, no antialias.

    This is TF.js resizeBilinear(picture / 255, [side, side], alignCorners = true), as NSFWJS does:
    position = i * (n - 1) / (side - 1). With antialias harmless video scores twice as often unsafe.
    """
    rows, columns = image.shape[:2]
    top, bottom, down = _axis(rows, side)
    left, right, along = _axis(columns, side)
    # Only the rows that are read become floats: 224 of 480.
    upper = image[top].astype(np.float32) / np.float32(255)
    lower = image[bottom].astype(np.float32) / np.float32(255)
    lines = upper + (lower - upper) * down[:, None, None]
    pixels = lines[:, left] + (lines[:, right] - lines[:, left]) * along[None, :, None]
    return np.ascontiguousarray(pixels[None], np.float32)


def finite(name: str, array: Array) -> Array:
    """The array; raises ShapeError where it holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise ShapeError(f"{name} holds NaN or infinity", field=name)
    return array


def sigmoid(logits: Array) -> Array:
    """1 / (1 + e^-x), with x kept in [-80, 80] so that float32 does not overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _axis(length: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    place = np.arange(side, dtype=np.float32) * np.float32((length - 1) / (side - 1))
    low = np.minimum(np.floor(place).astype(np.intp), length - 1)
    return low, np.minimum(low + 1, length - 1), (place - low).astype(np.float32)


def _resized(image: Image, width: int, height: int) -> Image:
    # Halving by area and then bilinear: an eighth of the cost of one step by area at 640x480, and
    # as free of aliasing, since the last step shrinks by less than two.
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
