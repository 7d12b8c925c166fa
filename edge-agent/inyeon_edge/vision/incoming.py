"""The receiver's look at the partner's picture: filter once a second, cover at once."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon_edge.effects.compositor import Compositor
from inyeon_edge.frame import Image
from inyeon_edge.vision.cover_rule import LocalCover
from inyeon_edge.vision.pipeline import CUT_DB, Score
from inyeon_edge.vision.quality import QualityMeter
from inyeon_edge.vision.results import Quality, Scored
from inyeon_edge.vision.scorer import Due

INCOMING_FILTER_S = 1.0  # the architecture's least: one look a second
CHANGED_DB = 60.0  # two decodings of one still differ by nothing; a moving picture stays below 50


@dataclass(frozen=True, eq=False)
class IncomingView:
    """The partner's picture as it may be shown."""

    image: Image
    scored: Scored | None
    quality: Quality
    covered: bool
    cover_reason: str


class IncomingCheck:
    """Looks at each decoded frame of the partner. Needs no server. Not for several threads."""

    def __init__(
        self,
        score: Score,
        compositor: Compositor,
        cover: LocalCover | None = None,
        filter_s: float = INCOMING_FILTER_S,
    ) -> None:
        self._score = score
        self._compositor = compositor
        self.cover = cover or LocalCover()
        self._due = Due(filter_s)
        self._quality = QualityMeter()
        self._broken = ""
        self.decoded = 0
        """Frames given to `check`."""
        self.changed = 0
        """Frames that differ from the one before."""
        self.filtered = 0
        """Frames that the filter scored."""
        self.failures = 0
        """Frames that it could not score; the picture stays covered until it can."""

    def check(self, image: Image, at_s: float, covered: bool = False) -> IncomingView:
        """The frame as shown. covered: the platform asks for the cover on the partner's picture."""
        quality = self._quality(image)
        self.decoded += 1
        self.changed += self.decoded == 1 or quality.motion_db < CHANGED_DB
        if 0 < quality.motion_db < CUT_DB:
            self._due.now()
        scored = self._look(image, at_s) if self._due(at_s) else None
        reason = self.cover.reason or self._broken or ("CALLER" if covered else "")
        shown = self._compositor.cover(image).image if reason else image
        return IncomingView(shown, scored, quality, bool(reason), reason)

    def _look(self, image: Image, at_s: float) -> Scored | None:
        try:
            scored = self._score(image, at_s)
        except Exception:  # as on the sending side: a filter that cannot look covers
            self.failures += 1
            self._broken = "FILTER_FAILED"
            self._due.now()
            return None
        self._broken = ""
        self.filtered += 1
        self.cover.scored(scored.by_class(), at_s)
        return scored
