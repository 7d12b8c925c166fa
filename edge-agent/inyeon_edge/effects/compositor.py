"""The order in which a picture may fail: background blur, then cover, then black. Never raw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.effects.cover import black
from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import Image

Blur = Callable[[Image, NDArray[np.float32]], Image]
Card = Callable[[int, int], Image]


@dataclass(frozen=True, eq=False)
class Composed:
    """A picture that may be shown."""

    image: Image
    blurred: bool
    covered: bool
    failure: str = ""
    """Why it is not what was asked for; empty where it is."""


class Compositor:
    """Applies the effects. Nothing it returns shows an unblurred room, whatever fails."""

    def __init__(self, blur: Blur, card: Card) -> None:
        self._blur = blur
        self._card = card
        self.failures = 0
        """How often an effect failed; each is also named in its Composed."""

    def compose(self, image: Image, mask: NDArray[np.float32] | None) -> Composed:
        """The picture with its background blurred; covered where there is no usable mask."""
        if mask is None:
            return self.cover(image, "NO_MASK")
        try:
            blurred = _like(self._blur(image, mask), image)
        except (
            Exception
        ) as error:  # the edge of the effects: whatever breaks, the answer is the cover
            return self.cover(image, f"BLUR_FAILED: {error}")
        return Composed(blurred, blurred=True, covered=False)

    def cover(self, image: Image, failure: str = "") -> Composed:
        """The card in the picture's size; black where even that fails."""
        self.failures += bool(failure)
        rows, columns = image.shape[:2]
        try:
            card = _like(self._card(columns, rows), image)
        except Exception as error:  # as above; the last resort is black
            self.failures += 1
            return Composed(black(columns, rows), False, True, f"COVER_FAILED: {error}")
        return Composed(card, blurred=False, covered=True, failure=failure)


def _like(made: Image, image: Image) -> Image:
    if made.shape != image.shape or made.dtype != np.uint8:
        raise ShapeError(f"an effect gave {made.dtype} {made.shape}", field="image")
    if made is image or np.shares_memory(made, image):
        raise ShapeError("an effect gave back the raw picture", field="image")
    return made
