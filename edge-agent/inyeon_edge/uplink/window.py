"""Collects what was seen in about one second into an ObservationWindow of the contract.

This is where the device's facts become protobuf. A window holds scores, an embedding, a hash and
two numbers of quality; there is no field for a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Subject
from inyeon_edge.vision.results import Presence, Quality, Scored, ViewResult
from inyeon_protos.common.v1.vector_pb2 import EmbeddingSpace, Vector, VectorEncoding
from inyeon_protos.moderation.v1.safety_pb2 import (
    FilterScores,
    ObservationWindow,
    ObservedSubject,
    PictureQuality,
    PresenceState,
)

WINDOW_S = 1.0
LONGEST_S = 60.0  # the contract's limit
EMBEDDING_DIMS = 64

_SUBJECT = {
    Subject.MYSELF: ObservedSubject.OBSERVED_SUBJECT_MYSELF,
    Subject.PARTNER: ObservedSubject.OBSERVED_SUBJECT_PARTNER,
}


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Which models speak in a window, as `index.json` names them."""

    filter_model: str
    filter_version: str
    embedding_model: str
    embedding_version: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one frame adds to a window."""

    person: bool
    presence: Presence
    covered: bool
    scored: Scored | None = None
    quality: Quality | None = None

    @classmethod
    def of_view(cls, view: ViewResult) -> Sample:
        """Of my own frame, as sent."""
        return cls(view.person, view.presence, view.covered, view.scored, view.quality)


@dataclass(slots=True)
class WindowBuilder:
    """Gathers samples of one subject. Used by one thread."""

    subject: Subject
    names: ModelNames
    clock: Clock
    match_id: str = ""
    _samples: list[Sample] = field(default_factory=list)
    _begun_s: float = -1.0
    _begun_at_s: float = 0.0

    def add(self, sample: Sample) -> ObservationWindow | None:
        """Takes a frame; returns the window that it completes, if it does."""
        self._begin()
        self._samples.append(sample)
        return self.close() if self._age_s() >= WINDOW_S else None

    def nothing_seen(self) -> ObservationWindow | None:
        """No frame came: after a second, the window that says so."""
        self._begin()
        if self._age_s() < WINDOW_S:
            return None
        self._samples.append(Sample(False, Presence.NO_PICTURE, covered=True))
        return self.close(frames=len(self._samples) - 1)

    def close(self, frames: int | None = None) -> ObservationWindow | None:
        """The window so far, or nothing where nothing was seen; the next one begins."""
        samples, self._samples = self._samples, []
        age_s, begun_at_s = self._age_s(), self._begun_at_s
        self._begun_s = -1.0
        if not samples:
            return None
        count = len(samples) if frames is None else frames
        return self._message(samples, count, min(max(age_s, 0.001), LONGEST_S), begun_at_s)

    def _begin(self) -> None:
        if self._begun_s < 0:
            self._begun_s, self._begun_at_s = self.clock.monotonic(), self.clock.now_s()

    def _age_s(self) -> float:
        return self.clock.monotonic() - self._begun_s

    def _message(
        self, samples: Sequence[Sample], frames: int, lasted_s: float, begun_at_s: float
    ) -> ObservationWindow:
        last = samples[-1]
        window = ObservationWindow(
            subject=_SUBJECT[self.subject],
            match_id=self.match_id,
            presence=PresenceState.Value(f"PRESENCE_STATE_{last.presence.value}"),
            presence_share=sum(each.person for each in samples) / len(samples),
            covered=last.covered,
            quality=_quality(samples, frames / lasted_s),
        )
        window.started_at.FromNanoseconds(int(begun_at_s * 1e9))
        window.duration.FromNanoseconds(int(lasted_s * 1e9))
        scored = [each.scored for each in samples if each.scored is not None]
        if scored:
            self._put_scores(window, scored)
        return window

    def _put_scores(self, window: ObservationWindow, scored: Sequence[Scored]) -> None:
        scores = np.clip(np.asarray([each.scores for each in scored], np.float32), 0.0, 1.0)
        window.scores.CopyFrom(
            FilterScores(
                model=self.names.filter_model,
                version=self.names.filter_version,
                frames=len(scored),
                mean=np.clip(scores.mean(axis=0), 0.0, 1.0).tolist(),
                max=scores.max(axis=0).tolist(),
            )
        )
        window.perceptual_hash = scored[-1].phash
        if (embedding := scored[-1].embedding) is not None:
            window.embedding.CopyFrom(Vector(space=self._space(), data=embedding))

    def _space(self) -> EmbeddingSpace:
        return EmbeddingSpace(
            model=self.names.embedding_model,
            version=self.names.embedding_version,
            dims=EMBEDDING_DIMS,
            encoding=VectorEncoding.VECTOR_ENCODING_INT8_SCALED,
        )


def _quality(samples: Sequence[Sample], frame_rate: float) -> PictureQuality:
    known = [each.quality for each in samples if each.quality is not None]
    if not known:
        return PictureQuality(frame_rate=frame_rate)
    return PictureQuality(
        brightness=min(1.0, sum(each.brightness for each in known) / len(known)),
        sharpness=sum(each.sharpness for each in known) / len(known),
        frame_rate=frame_rate,
    )
