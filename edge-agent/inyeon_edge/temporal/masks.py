"""Masks without flicker or ghosts: the weight of a new one grows with disagreement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.float32]
"""Shape (rows, columns), float32 in [0, 1], 1 for person."""


@dataclass(frozen=True)
class Smoothing:
    """How much of a new mask counts, from pixels that agree to pixels that do not."""

    calm: float = 0.2
    """Weight where old and new agree: a trembling edge moves a fifth of the way."""
    sure: float = 0.5
    """Disagreement from which the new mask counts wholly, so that no ghost outlives one frame."""


class MaskSmoother:
    """Keeps the smoothed mask. One for each picture source, not shared between threads."""

    def __init__(self, rule: Smoothing | None = None) -> None:
        self._rule = rule or Smoothing()
        self._kept: Mask | None = None

    def __call__(self, mask: Mask) -> Mask:
        """The smoothed mask; the first, or the first of another shape, as it is."""
        if self._kept is None or self._kept.shape != mask.shape:
            self._kept = np.array(mask, np.float32)
        else:
            self._kept = smoothed(self._kept, mask, self._rule)
        return self._kept

    def forget(self) -> None:
        """Start anew, after a cut or a failure."""
        self._kept = None


def smoothed(old: Mask, new: Mask, rule: Smoothing) -> Mask:
    """old + w (new - old), w = calm + (1 - calm) min(1, |new - old| / sure) squared, by pixel.

    The square keeps w near `calm` for small trembles: at a tenth of `sure` only 1 % is added.
    """
    change = new - old
    share = np.minimum(1, np.abs(change) / np.float32(rule.sure))
    weight = np.float32(rule.calm) + np.float32(1 - rule.calm) * share * share
    return np.asarray(old + weight * change, np.float32)
