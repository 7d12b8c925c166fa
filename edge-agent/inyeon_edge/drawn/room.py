"""An empty room whose light changes: nobody is there, and it is no still picture."""

from __future__ import annotations

import math

import cv2
import numpy as np

from inyeon_edge.frame import Image

WIDTH, HEIGHT = 640, 480
PERIOD_FRAMES = 150  # a cloud passes the sun in 10 s at 15 fps
NOISE = 2.0  # standard deviation of sensor noise in 8-bit steps, as in a lit room


class EmptyRoom:
    """Draws the room at any frame number; the same number gives the same picture."""

    def __init__(self) -> None:
        self._lit = _room().astype(np.float32)
        rng = np.random.default_rng(7)
        self._noise = rng.normal(0, NOISE, (HEIGHT + 32, WIDTH + 32, 1)).astype(np.float32)

    def __call__(self, index: int) -> Image:
        """(480, 640, 3) uint8."""
        light = 0.9 + 0.1 * math.sin(2 * math.pi * index / PERIOD_FRAMES)
        # One field of noise, read from a place that hops: cheap and never the same twice in a row.
        top, left = (index * 7) % 32, (index * 13) % 32
        grain = self._noise[top : top + HEIGHT, left : left + WIDTH]
        return np.asarray(np.clip(self._lit * light + grain, 0, 255), np.uint8)


def _room() -> Image:
    room = np.full((HEIGHT, WIDTH, 3), (203, 198, 186), np.uint8)
    slope = np.linspace(1.06, 0.82, WIDTH, dtype=np.float32)[None, :, None]  # light from the left
    room = np.clip(room * slope, 0, 255).astype(np.uint8)
    cv2.rectangle(room, (0, 370), (WIDTH, HEIGHT), (146, 116, 88), -1)
    for board in range(0, WIDTH, 80):
        cv2.line(room, (board, 370), (board * 2 - 320, HEIGHT), (128, 100, 74), 2)
    _window(room)
    _shelf(room)
    cv2.rectangle(room, (0, 360), (WIDTH, 371), (226, 222, 214), -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 1.0), np.uint8)


def _window(room: Image) -> None:
    cv2.rectangle(room, (70, 70), (250, 260), (236, 234, 228), -1)
    cv2.rectangle(room, (82, 82), (238, 248), (176, 204, 226), -1)
    cv2.rectangle(room, (155, 82), (165, 248), (236, 234, 228), -1)
    cv2.rectangle(room, (82, 160), (238, 170), (236, 234, 228), -1)


def _shelf(room: Image) -> None:
    books = ((96, 66, 60), (70, 92, 104), (132, 120, 84), (88, 104, 82), (120, 88, 92))
    for level in (190, 290):
        cv2.rectangle(room, (400, level), (600, level + 10), (120, 92, 66), -1)
        for place in range(9):
            high = 44 + (place * 17) % 26
            left = 408 + place * 20
            cv2.rectangle(room, (left, level - high), (left + 15, level), books[place % 5], -1)
