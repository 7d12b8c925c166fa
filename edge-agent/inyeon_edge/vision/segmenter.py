"""Who is person and who is room: the selfie segmentation model."""

from __future__ import annotations

import numpy as np

from inyeon_edge.engine.session import Array, RuntimeSession
from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import Image
from inyeon_edge.vision.tensors import finite, squashed

LANDSCAPE = "selfie_segmentation_landscape.tflite"
SQUARE = "selfie_segmentation.tflite"


class Segmenter:
    """Gives the mask of a picture; landscape is 1.8 times faster, square 2 % better in IoU."""

    def __init__(self, session: RuntimeSession) -> None:
        self._session = session
        _, self._high, self._wide, _ = session.inputs[0].shape

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the mask."""
        return self._high, self._wide

    def __call__(self, image: Image) -> Array:
        """(rows, columns) float32 in [0, 1], 1 for person, at the model's size.

        Raises ShapeError where the model answers with another shape or with NaN.
        """
        tensor = squashed(image, self._wide, self._high)
        out = self._session.run({self._session.inputs[0].name: tensor})
        mask = out[self._session.outputs[0].name]
        if mask.shape != (1, self._high, self._wide, 1):
            raise ShapeError(f"the mask has shape {mask.shape}", field="mask")
        return np.clip(finite("mask", mask[0, :, :, 0]), 0, 1)


def person_share(mask: Array) -> float:
    """Share of the mask above one half, [0, 1]."""
    return float((mask > 0.5).mean())
