"""The content embedding: 64 principal directions of the classifier's pooled features.

It lets the platform say "the same scene as before" without seeing a picture. Fitted when the
models are built, on the few pictures that pinned packages carry and on drawings of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models.pictures import (
    Picture,
    classifier_input,
    clip_frames,
    decode_picture,
    drawing,
    variants,
)
from inyeon_models.reduction import Projection, fit, int8_scaled
from inyeon_models.runtimes import onnx_session

Float = NDArray[np.float32]

DIMS = 64
DRAWINGS = 60
CLIP_EVERY = 4  # neighbouring frames say the same; 120 frames give 30
CLIP_TRAINING_SHARE = 0.75  # the end of the clip is kept for the figure in the card


def training_pictures(clip: Path, pictures: Mapping[str, bytes]) -> Iterable[Picture]:
    """All pictures to fit on, in a fixed order."""
    frames = list(clip_frames(clip, every=CLIP_EVERY))
    for frame in frames[: int(len(frames) * CLIP_TRAINING_SHARE)]:
        yield frame
        yield np.ascontiguousarray(frame[:, ::-1])
    for name in sorted(pictures):
        yield from variants(decode_picture(name, pictures[name]))
    for seed in range(DRAWINGS):
        yield drawing(seed)


def pooled_features(model: Path, pictures: Iterable[Picture]) -> Float:
    """(n, 1280) float32 features of the classifier in `model`, one pass for each picture."""
    session = onnx_session(model)
    rows = []
    for picture in pictures:
        feed = {"pictures": classifier_input(picture)[None]}
        rows.append(np.asarray(session.run(["features"], feed)[0])[0])
    return np.asarray(rows, dtype=np.float32)


def fit_content(features: Float) -> Projection:
    """The projection that ships."""
    return fit(features, DIMS)


def overlap_at_10(projection: Projection, features: Float) -> float:
    """Share of the ten nearest neighbours (by angle) that survive the reduction and int8.

    Neighbours in full are those of centred features, as the reduction sees them.
    """
    quantised, scale = int8_scaled(projection.apply(features))
    full = _nearest(features - projection.mean)
    reduced = _nearest(quantised * scale[:, None])
    shared = [len(set(a) & set(b)) for a, b in zip(full, reduced, strict=True)]
    return float(np.mean(shared) / full.shape[1])


def _nearest(vectors: Float, count: int = 10) -> NDArray[np.intp]:
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarity = (vectors / length) @ (vectors / length).T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, : min(count, len(vectors) - 1)]
