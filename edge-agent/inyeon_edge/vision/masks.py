"""The person mask of a stream of pictures: segmented when something moved, smoothed over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.effects.blur import check_mask
from inyeon_edge.frame import Image
from inyeon_edge.temporal.masks import Mask, MaskSmoother
from inyeon_edge.temporal.reuse import MaskReuse

Segment = Callable[[Image], Mask]


class MaskTrack:
    """Gives a mask for each picture and counts what it cost."""

    def __init__(
        self,
        segment: Segment,
        smoother: MaskSmoother | None = None,
        reuse: MaskReuse | None = None,
    ) -> None:
        self._segment = segment
        self._smoother = smoother or MaskSmoother()
        self._reuse = reuse or MaskReuse()
        self._mask: Mask | None = None
        self.segmented = 0
        """Pictures that went through the model."""
        self.reused = 0
        """Pictures for which the last mask held."""

    def __call__(self, image: Image, luma: NDArray[np.uint8]) -> Mask:
        """(rows, columns) float32; raises what the segmenter raises, and ShapeError for a wrong
        mask, after forgetting the past."""
        if self._mask is not None and self._reuse.holds(luma):
            self.reused += 1
            return self._mask
        try:
            made = self._segment(image)
            check_mask(made)  # before it is mixed in: one NaN would stay in every later mask
            self._mask = self._smoother(made)
        except Exception:
            self.forget()
            raise
        self._reuse.segmented(luma)
        self.segmented += 1
        return self._mask

    def forget(self) -> None:
        """The next picture is segmented and stands alone."""
        self._mask = None
        self._smoother.forget()
        self._reuse.forget()
