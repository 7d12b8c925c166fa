"""How usable a picture is, and how much it moved."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon_edge.frame import Image
from inyeon_edge.temporal.reuse import psnr_db
from inyeon_edge.vision.results import Quality

WIDTH_PX = 160  # the contract's width for sharpness


class QualityMeter:
    """Brightness, sharpness and motion of each picture; remembers the one before."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, image: Image) -> Quality:
        """Quality of this picture; motion against the last one given."""
        luma = small_luma(image)
        before, self._before = self._before, luma
        motion = 0.0 if before is None else psnr_db(before, luma)
        return Quality(brightness(luma), sharpness(luma), motion)


def small_luma(image: Image) -> NDArray[np.uint8]:
    """(rows, 160) uint8 luma (BT.601), rows kept in proportion within 1 to 640."""
    rows, columns = image.shape[:2]
    high = min(640, max(1, round(rows * WIDTH_PX / columns)))
    small = cv2.resize(image, (WIDTH_PX, high), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def brightness(luma: NDArray[np.uint8]) -> float:
    """Mean, [0, 1]."""
    return float(luma.mean()) / 255


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian (Pech-Pacheco and others 2000), >= 0."""
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())
