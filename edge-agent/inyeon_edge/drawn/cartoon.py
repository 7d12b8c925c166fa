"""An outlined flat-colour cartoon: a patchwork cat that nods under drifting clouds.

Chosen by trial against the real models: many flat patches with thin black outlines are what NSFWJS
MobileNetV2 calls Drawing; film cartoons and simple shapes with thick outlines score Neutral, and of
lines 1 to 12 pixels wide 1 did best. The cat is large and in the middle, so that the segmentation
keeps it sharp when the background is blurred; it has no nose or mouth, so that no face detector
takes it for a person. A test holds all three.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon_edge.frame import Image

WIDTH, HEIGHT = 640, 480
LINE_PX = 1
INK = (0, 0, 0)
PAPER = (244, 240, 228)
FUR = (
    (58, 58, 62),
    (96, 96, 100),
    (134, 134, 138),
    (172, 172, 176),
    (206, 206, 210),
    (236, 236, 238),
)
CLOUD = (214, 226, 240)
PATCHES = 40
SEED = 13
NOD_FRAMES, DRIFT_FRAMES = 30, 300  # 2 and 20 s at 15 fps
MIDDLE = (320, 180)
HEAD = (96, 104)  # half axes

Points = NDArray[np.int32]


class Cartoon:
    """Draws the cartoon at any frame number; the same number gives the same picture."""

    def __init__(self, seed: int = SEED) -> None:
        self._cat, self._shape = _cat(seed)

    def __call__(self, index: int) -> Image:
        """(480, 640, 3) uint8."""
        picture = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
        _clouds(picture, index)
        nod = math.sin(2 * math.pi * index / NOD_FRAMES)
        self._place_cat(picture, round(5 * nod), round(4 * abs(nod)))
        return picture

    def _place_cat(self, picture: Image, right: int, down: int) -> None:
        move = np.array([[1, 0, right], [0, 1, down]], np.float32)
        size = (WIDTH, HEIGHT)
        edge = cv2.BORDER_REPLICATE  # the body runs out of the picture below
        cat = cv2.warpAffine(self._cat, move, size, borderMode=edge)
        shape = cv2.warpAffine(self._shape, move, size, borderMode=edge)
        cv2.copyTo(cat, shape, picture)


def _cat(seed: int) -> tuple[Image, NDArray[np.uint8]]:
    """The cat on its own, and where it is (255)."""
    rng = np.random.default_rng(seed)
    patches = np.full((HEIGHT, WIDTH, 3), FUR[3], np.uint8)
    for _ in range(PATCHES):
        _outlined(patches, _patch(rng), FUR[int(rng.integers(len(FUR)))])
    shape = np.zeros((HEIGHT, WIDTH), np.uint8)
    cat = np.zeros_like(patches)
    for part in (_body(), _ear(-1), _ear(1), _head()):
        inside = np.zeros_like(shape)
        cv2.fillPoly(inside, [part], (255,))
        cv2.copyTo(patches, inside, cat)
        cv2.polylines(cat, [part], True, INK, LINE_PX, cv2.LINE_AA)
        cv2.fillPoly(shape, [part], (255,))
        cv2.polylines(shape, [part], True, (255,), LINE_PX)
    _eyes(cat)
    return cat, shape


def _patch(rng: np.random.Generator) -> Points:
    """A triangle, square or pentagon somewhere on the cat."""
    corners = int(rng.integers(3, 6))
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(24, 70, corners)
    middle = rng.uniform((120, 60), (520, HEIGHT))
    return _points(middle + np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach[:, None])


def _head() -> Points:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([HEAD[0] * np.cos(turn), HEAD[1] * np.sin(turn)], axis=1)
    return _points(np.array(MIDDLE) + ring)


def _ear(side: int) -> Points:
    shares = np.array([[0.92, -0.25], [0.85, -1.4], [0.2, -0.9]]) * [side, 1]
    return _points(np.array(MIDDLE) + shares * HEAD)


def _body() -> Points:
    shares = np.array([[-0.5, 0.7], [-1.7, 1.4], [-1.9, 4], [1.9, 4], [1.7, 1.4], [0.5, 0.7]])
    return _points(np.array(MIDDLE) + shares * HEAD)


def _eyes(cat: Image) -> None:
    for side in (-1, 1):
        place = (MIDDLE[0] + side * 40, MIDDLE[1] - 10)
        for radius, colour in ((24, (255, 255, 255)), (9, INK)):
            cv2.circle(cat, place, radius, colour, -1, cv2.LINE_AA)
        cv2.circle(cat, place, 24, INK, LINE_PX, cv2.LINE_AA)


def _clouds(picture: Image, index: int) -> None:
    for number, high in enumerate((90, 210, 330)):
        across = (index / DRIFT_FRAMES + number * 0.37) % 1.3 - 0.15
        shares = np.array([[-50, 10], [-25, -16], [5, -22], [40, -10], [58, 12], [10, 20]])
        _outlined(picture, _points(np.array([across * WIDTH, high]) + shares), CLOUD)


def _outlined(picture: Image, points: Points, colour: tuple[int, int, int]) -> None:
    cv2.fillPoly(picture, [points], colour, cv2.LINE_AA)
    cv2.polylines(picture, [points], True, INK, LINE_PX, cv2.LINE_AA)


def _points(places: NDArray[np.floating]) -> Points:
    return np.asarray(np.rint(places), np.int32)
