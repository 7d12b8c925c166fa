"""One frame's way: mask, presence, effects, filter, cover. Nothing leaves it raw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.effects.compositor import Composed, Compositor
from inyeon_edge.frame import Frame, Image
from inyeon_edge.temporal.still import FrozenWatch
from inyeon_edge.vision.cover_rule import LocalCover
from inyeon_edge.vision.masks import MaskTrack
from inyeon_edge.vision.presence import POSE_AREA, PresenceWatch
from inyeon_edge.vision.quality import QualityMeter, small_luma
from inyeon_edge.vision.results import Presence, Quality, Scored, ViewResult
from inyeon_edge.vision.scorer import Due
from inyeon_edge.vision.segmenter import person_share

DARK = 0.02  # mean luma of a closed lens: sensors leave 0.00 to 0.015
SHARP_SHARE = 0.15  # below it blurred walkers scored Porn to 0.98, above it heads as when sharp
CUT_DB = 14.0  # PSNR below which the scene was cut: such a picture is scored before anybody sees it

Score = Callable[[Image, float], Scored]


@dataclass(frozen=True)
class Cadence:
    """How often the filter looks, seconds."""

    filter_s: float = 0.5


@dataclass(frozen=True)
class VisionParts:
    """What the pipeline is made of; `build.py` makes the real ones."""

    masks: MaskTrack
    presence: PresenceWatch
    compositor: Compositor
    score: Score
    cover: LocalCover


class VisionPipeline:
    """Turns captured frames into pictures that may be sent. One per source, for one thread.

    Which picture is scored: the one that would be sent without the cover. Uncovered that is the
    frame as sent. While covered it is what lies beneath the card, because a card is always
    harmless: scoring it would hide the evidence that decides whether the person may be seen again.
    Where the person fills less than SHARP_SHARE the picture before the blur is scored instead: a
    picture that is mostly blur means nothing to the filter (the same empty room scored Porn 0.95
    blurred and Neutral 1.00 sharp), and the sharp one shows it more, never less.

    Where nobody is seen there is nothing but the room: the card is sent.
    """

    def __init__(self, parts: VisionParts, cadence: Cadence | None = None) -> None:
        self._parts = parts
        self._due = Due((cadence or Cadence()).filter_s)
        self._quality = QualityMeter()
        self._frozen = FrozenWatch()
        self._broken = ""
        self.failures = 0
        """Steps that failed; each is shown as cover, unknown presence or both."""

    @property
    def cover(self) -> LocalCover:
        """The local rule: the wiring sets its policy and whether the verdict is CLEAR."""
        return self._parts.cover

    def process(self, frame: Frame, covered: bool) -> ViewResult:
        """What to send for this frame, and what was seen in it.

        covered: the platform's directive (or the user) asks for the cover. Never raises for what
        models, effects or pictures do: a failed step covers.
        """
        spent: dict[str, float] = {}
        scored: Scored | None = None
        with _timed(spent, "total"):
            quality = self._quality(frame.image)
            mask = self._mask(frame, spent)
            share = 0.0 if mask is None else person_share(mask)
            presence = self._presence(frame, share, quality, spent)
            with _timed(spent, "effects"):
                open_view = self._parts.compositor.compose(frame.image, mask)
            empty = share < POSE_AREA and self._parts.presence.people == 0
            scored_view = open_view.image if share >= SHARP_SHARE else frame.image
            if not open_view.covered:
                scored = self._score(scored_view, frame.captured_s, quality, spent)
            view, reason = self._shown(frame, open_view, covered, empty)
        return ViewResult(
            view.image,
            frame.index,
            frame.captured_s,
            presence,
            presence is not Presence.NO_PICTURE and self._parts.presence.people > 0,
            share,
            scored,
            quality,
            view.blurred,
            view.covered,
            reason,
            spent,
        )

    def no_picture(self) -> Presence:
        """The source gives nothing: everything seen before is forgotten."""
        self._parts.presence.forget()
        self._parts.masks.forget()
        self._due.now()
        return Presence.NO_PICTURE

    def _mask(self, frame: Frame, spent: dict[str, float]) -> NDArray[np.float32] | None:
        with _timed(spent, "segment"):
            try:
                return self._parts.masks(frame.image, small_luma(frame.image))
            except Exception:  # whatever a model does, the answer is the cover
                self.failures += 1
                return None

    def _presence(
        self, frame: Frame, share: float, quality: Quality, spent: dict[str, float]
    ) -> Presence:
        frozen = self._frozen(frame.captured_s, quality.motion_db)
        if frozen or quality.brightness < DARK:
            self._parts.presence.forget()
            return Presence.NO_PICTURE
        with _timed(spent, "presence"):
            try:
                return self._parts.presence(frame.image, share, frame.captured_s)
            except Exception:  # unknown presence means no safety pass, hence no match
                self.failures += 1
                self._parts.presence.forget()
                return Presence.UNKNOWN

    def _score(
        self, image: Image, at_s: float, quality: Quality, spent: dict[str, float]
    ) -> Scored | None:
        if 0 < quality.motion_db < CUT_DB:
            self._due.now()
        if not self._due(at_s):
            return None
        with _timed(spent, "filter"):
            try:
                scored = self._parts.score(image, at_s)
            except Exception:  # a filter that cannot look is no reason to show
                self.failures += 1
                self._broken = "FILTER_FAILED"
                self._due.now()
                return None
        self._broken = ""
        self._parts.cover.scored(scored.by_class(), at_s)
        return scored

    def _shown(
        self, frame: Frame, view: Composed, asked: bool, empty: bool
    ) -> tuple[Composed, str]:
        if view.covered:
            return view, "EFFECT_FAILED"
        reason = self._parts.cover.reason or self._broken or ("CALLER" if asked else "")
        reason = reason or ("NOBODY" if empty else "")
        return (self._parts.compositor.cover(frame.image), reason) if reason else (view, "")


@contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    start_s = time.perf_counter()
    try:
        yield
    finally:
        spent[name] = (time.perf_counter() - start_s) * 1000
