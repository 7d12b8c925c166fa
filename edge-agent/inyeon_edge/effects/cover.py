"""The cover: a calm drawn card that holds nothing of the picture beneath, not even its colours.

The partner's device runs its own filter on what it receives, so the card must be harmless to that
filter too: flat shapes with thick outlines score Neutral above 0.9, soft gradients score Drawing.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon_edge.frame import Image

SKY, MEADOW, SUN = (150, 215, 255), (110, 200, 90), (255, 220, 60)
WALL, ROOF, DOOR, PANE = (240, 190, 140), (210, 80, 60), (140, 90, 50), (180, 230, 255)
INK = (0, 0, 0)
SHAPES: tuple[tuple[tuple[int, int, int], tuple[tuple[float, float], ...]], ...] = (
    (MEADOW, ((-0.1, 0.69), (1.1, 0.69), (1.1, 1.1), (-0.1, 1.1))),
    (WALL, ((0.25, 0.46), (0.62, 0.46), (0.62, 0.83), (0.25, 0.83))),
    (ROOF, ((0.2, 0.46), (0.44, 0.21), (0.67, 0.46))),
    (DOOR, ((0.39, 0.62), (0.48, 0.62), (0.48, 0.83), (0.39, 0.83))),
    (PANE, ((0.28, 0.52), (0.36, 0.52), (0.36, 0.62), (0.28, 0.62))),
    (PANE, ((0.51, 0.52), (0.59, 0.52), (0.59, 0.62), (0.51, 0.62))),
)
"""Colour and corners, in shares of width and height, from back to front."""


class CoverCard:
    """Draws the card once for each size; it depends on nothing but width and height."""

    def __init__(self) -> None:
        self._drawn: Image | None = None

    def __call__(self, width: int, height: int) -> Image:
        """(height, width, 3) uint8; a fresh copy that the caller may write to."""
        if self._drawn is None or self._drawn.shape[:2] != (height, width):
            self._drawn = draw_card(width, height)
        return self._drawn.copy()


def draw_card(width: int, height: int) -> Image:
    """A house on a meadow under the sun."""
    card = np.full((height, width, 3), SKY, np.uint8)
    line = max(1, round(min(width, height) / 48))
    middle, radius = (int(width * 0.84), int(height * 0.19)), max(1, min(width, height) // 10)
    cv2.circle(card, middle, radius, SUN, -1, cv2.LINE_AA)
    cv2.circle(card, middle, radius, INK, line, cv2.LINE_AA)
    for colour, corners in SHAPES:
        points = _scaled(corners, width, height)
        cv2.fillPoly(card, [points], colour, cv2.LINE_AA)
        cv2.polylines(card, [points], True, INK, line, cv2.LINE_AA)
    return card


def black(width: int, height: int) -> Image:
    """The last resort: it cannot fail but for want of memory."""
    return np.zeros((height, width, 3), np.uint8)


def _scaled(corners: tuple[tuple[float, float], ...], width: int, height: int) -> NDArray[np.int32]:
    return np.asarray(np.rint(np.array(corners) * (width, height)), np.int32)
