"""Builds the real vision parts from a model library: the only place that names the model files."""

from __future__ import annotations

from collections.abc import Mapping

import cv2

from inyeon_edge.effects import BackgroundBlur, Compositor, CoverCard
from inyeon_edge.engine.library import ModelLibrary
from inyeon_edge.vision import embedder as content
from inyeon_edge.vision import filter as unsafe
from inyeon_edge.vision.anchors import FACE_FULL, FACE_SHORT, POSE
from inyeon_edge.vision.cover_rule import LocalCover
from inyeon_edge.vision.detector import Detector
from inyeon_edge.vision.incoming import IncomingCheck
from inyeon_edge.vision.masks import MaskTrack
from inyeon_edge.vision.pipeline import Cadence, VisionParts, VisionPipeline
from inyeon_edge.vision.presence import PresenceWatch
from inyeon_edge.vision.scorer import Scorer
from inyeon_edge.vision.segmenter import LANDSCAPE, Segmenter

FACE_SHORT_MODEL = "face_detection_short_range.tflite"
FACE_FULL_MODEL = "face_detection_full_range_sparse.tflite"
POSE_MODEL = "pose_detection.tflite"


def build_pipeline(
    models: ModelLibrary,
    cover_at: Mapping[str, float] | None = None,
    cadence: Cadence | None = None,
    segmenter: str = LANDSCAPE,
) -> VisionPipeline:
    """The pipeline on real models. Raises ModelMissing and ModelCorrupt naming the file."""
    cv2.setNumThreads(1)  # a pool per process would fight over the cores that three agents share
    parts = VisionParts(
        MaskTrack(Segmenter(models.session(segmenter))),
        build_presence(models),
        build_compositor(),
        build_scorer(models),
        LocalCover(cover_at),
    )
    return VisionPipeline(parts, cadence)


def build_incoming(
    models: ModelLibrary, cover_at: Mapping[str, float] | None = None
) -> IncomingCheck:
    """The check on the partner's picture; shares the filter's session with the pipeline."""
    return IncomingCheck(build_scorer(models), build_compositor(), LocalCover(cover_at))


def build_presence(models: ModelLibrary) -> PresenceWatch:
    """The presence watch on the three detectors."""
    return PresenceWatch(
        Detector(models.session(FACE_FULL_MODEL), FACE_FULL),
        Detector(models.session(FACE_SHORT_MODEL), FACE_SHORT),
        Detector(models.session(POSE_MODEL), POSE),
    )


def build_scorer(models: ModelLibrary) -> Scorer:
    """Filter and embedder."""
    pca = content.load_pca(models.path(content.MODEL))
    return Scorer(unsafe.Filter(models.session(unsafe.MODEL)), content.ContentEmbedder(pca))


def build_compositor() -> Compositor:
    """Background blur and cover with their fail order."""
    return Compositor(BackgroundBlur(), CoverCard())
