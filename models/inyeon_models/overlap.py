"""How much the content embedding loses: neighbours kept, on frames that the fit never saw."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from inyeon_models.content import (
    CLIP_EVERY,
    CLIP_TRAINING_SHARE,
    DRAWINGS,
    overlap_at_10,
    pooled_features,
)
from inyeon_models.errors import SourceError
from inyeon_models.pictures import Picture, clip_frames, drawing
from inyeon_models.reduction import Projection

# Frames of each clip of the data folder: neighbours of 0.4 to 4 s, a few seconds of work.
DATA_CLIPS = {"intel_one-by-one-person-detection.mp4": 12, "tfjs_pose_1.mp4": 2}


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """One set of pictures: how many, the share of ten neighbours kept, the variance kept."""

    pictures_of: str
    count: int
    overlap_at_10: float
    variance_kept: float

    def document(self) -> dict[str, object]:
        """The row as JSON."""
        return asdict(self)


def overlap_table(folder: Path, data: Path) -> tuple[OverlapRow, ...]:
    """Measure the built projection; sets of the data folder are left out where it is absent."""
    projection = load_projection(folder / "content_pca_64.npz")
    model = folder / "nsfw_mobilenet_v2.onnx"
    sets = unseen_pictures(folder, data)
    return tuple(_row(projection, model, name, pictures) for name, pictures in sets.items())


def unseen_pictures(folder: Path, data: Path) -> dict[str, Iterable[Picture]]:
    """Pictures by what they show, none of which the projection was fitted on."""
    sets: dict[str, Iterable[Picture]] = {
        "the clip's end, every frame": _clip_end(folder / "clips" / "carphone_pristine.mp4"),
        "new drawings": [drawing(seed) for seed in range(DRAWINGS, 2 * DRAWINGS)],
    }
    for name, every in DATA_CLIPS.items():
        path = data / "vision" / name
        if path.is_file():
            sets[name] = clip_frames(path, every=every)
    return sets


def load_projection(path: Path) -> Projection:
    """Read a projection's .npz; raises SourceError naming a file that is absent or broken."""
    try:
        # from memory: numpy leaves a broken file open when it is not a zip
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return Projection(archive["mean"], archive["components"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SourceError(f"{path.name}: not a projection ({error})") from error


def _clip_end(path: Path) -> list[Picture]:
    frames = list(clip_frames(path, every=1))
    seen = int(len(frames[::CLIP_EVERY]) * CLIP_TRAINING_SHARE) * CLIP_EVERY
    return frames[seen:]


def _row(projection: Projection, model: Path, name: str, pictures: Iterable[Picture]) -> OverlapRow:
    features = pooled_features(model, pictures)
    around = features - features.mean(axis=0)
    kept = np.square(around @ projection.components.T).sum() / np.square(around).sum()
    overlap = overlap_at_10(projection, features)
    return OverlapRow(name, len(features), round(overlap, 3), round(float(kept), 3))
