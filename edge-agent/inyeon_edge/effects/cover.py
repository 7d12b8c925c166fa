"""The cover: a calm drawn card that holds nothing of the picture beneath, not even its colours."""

from __future__ import annotations

import cv2
import numpy as np

from inyeon_edge.frame import Image

DUSK, DAWN = (74, 84, 110), (132, 140, 158)  # top and bottom of the card, RGB
HILLS = ((104, 114, 140), (88, 98, 126))


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
    """Two soft hills under an evening sky."""
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = np.array(DUSK, np.float32) * (1 - share) + np.array(DAWN, np.float32) * share
    card = np.ascontiguousarray(np.broadcast_to(sky, (height, width, 3)), np.uint8)
    for place, colour in zip((0.35, 0.7), HILLS, strict=True):
        middle = (int(width * place), int(height * 1.15))
        cv2.ellipse(card, middle, (max(1, width // 2), max(1, height // 2)), 0, 0, 360, colour, -1)
    return card


def black(width: int, height: int) -> Image:
    """The last resort: it cannot fail but for want of memory."""
    return np.zeros((height, width, 3), np.uint8)
