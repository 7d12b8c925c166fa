"""One MediaPipe detector (face short, face full, pose): picture in, boxes out."""

from __future__ import annotations

import numpy as np

from inyeon_edge.engine.session import RuntimeSession
from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import Image
from inyeon_edge.vision.anchors import Box, Grid, boxes, centres, thinned
from inyeon_edge.vision.tensors import finite, letterboxed, sigmoid

FLOOR = 0.5  # the presence rule's own threshold


class Detector:
    """Runs a detector and decodes its anchors; raises ShapeError on another model's form."""

    def __init__(self, session: RuntimeSession, grids: tuple[Grid, ...]) -> None:
        self._session = session
        self._anchors = centres(grids)
        self._side = session.inputs[0].shape[1]
        count = len(self._anchors)
        # Told apart by width: boxes have 12 or 16 numbers for each anchor, scores have one.
        by_width = {s.shape[2]: s.name for s in session.outputs if s.shape[:2] == (1, count)}
        if 1 not in by_width or len(by_width) != 2:
            raise ShapeError(f"the detector must have {count} anchors", field="outputs")
        self._scores = by_width.pop(1)
        self._boxes = by_width.popitem()[1]

    def __call__(self, image: Image) -> list[Box]:
        """Boxes of FLOOR or more in shares of the picture, best first, overlaps thinned."""
        square, place = letterboxed(image, self._side)
        out = self._session.run({self._session.inputs[0].name: square})
        scores = sigmoid(finite("scores", out[self._scores]).reshape(-1))
        raw = np.clip(finite("boxes", out[self._boxes])[0], -1e4, 1e4)
        found = thinned(boxes(raw, scores, self._anchors, self._side, FLOOR))
        return [_unboxed(box, place.left, place.top, place.wide, place.high) for box in found]


def _unboxed(box: Box, left: float, top: float, wide: float, high: float) -> Box:
    return Box(
        box.score,
        (box.left - left) / wide,
        (box.top - top) / high,
        (box.right - left) / wide,
        (box.bottom - top) / high,
    )
