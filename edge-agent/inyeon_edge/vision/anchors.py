"""Anchors of the MediaPipe detectors, boxes from their outputs, and overlapping boxes thinned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.engine.session import Array


@dataclass(frozen=True)
class Grid:
    """`cells` x `cells` places with `repeat` anchors each, row by row."""

    cells: int
    repeat: int


# From the strides in each model's public graph: input / stride cells, two scales per layer, layers
# of one stride merged; full range has one aspect ratio and no in-between scale: one anchor.
FACE_SHORT = (Grid(16, 2), Grid(8, 6))  # 128 px, strides 8, 16, 16, 16: 512 + 384 = 896
FACE_FULL = (Grid(48, 1),)  # 192 px, stride 4: 2,304
POSE = (Grid(28, 2), Grid(14, 2), Grid(7, 6))  # 224 px, 8, 16, 32 x 3: 1,568 + 392 + 294 = 2,254


@dataclass(frozen=True)
class Box:
    """A detection in shares of the input square."""

    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Share of the square, >= 0."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


def centres(grids: tuple[Grid, ...]) -> Array:
    """(anchors, 2) float32: x and y of each anchor in [0, 1], in the model's order."""
    parts = [_grid_centres(grid) for grid in grids]
    return np.concatenate(parts).astype(np.float32)


def boxes(raw: Array, scores: Array, anchors: Array, side: int, floor: float) -> list[Box]:
    """Boxes with a score of `floor` or more, best first.

    raw: (anchors, >= 4) offsets x, y and size w, h in pixels; centre = offset / side + anchor.
    scores: (anchors,) probabilities.
    """
    keep = np.flatnonzero(scores >= floor)
    order = keep[np.argsort(-scores[keep], kind="stable")]
    middle = raw[order, :2] / side + anchors[order]
    half = np.abs(raw[order, 2:4]) / (2 * side)
    edges: NDArray[np.float64] = np.concatenate([middle - half, middle + half], axis=1)
    return [Box(float(scores[i]), *map(float, edge)) for i, edge in zip(order, edges, strict=True)]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, [0, 1]."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, wide) * max(0.0, high)
    union = one.area + other.area - shared
    return shared / union if union > 0 else 0.0


def thinned(found: list[Box], limit: float = 0.3) -> list[Box]:
    """The best of each heap of boxes that overlap by `limit` or more (MediaPipe's 0.3)."""
    kept: list[Box] = []
    for box in found:
        if all(overlap(box, other) < limit for other in kept):
            kept.append(box)
    return kept


def _grid_centres(grid: Grid) -> NDArray[np.float64]:
    line = (np.arange(grid.cells) + 0.5) / grid.cells
    y, x = np.meshgrid(line, line, indexing="ij")
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    return np.repeat(points, grid.repeat, axis=0)
