"""How often the head on the embedding says what the classifier says, on frames the fit never saw.

The embedding is sent as int8, so it is measured as int8. The flagged share is Porn + Hentai + Sexy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models.content_head import load_head
from inyeon_models.overlap import load_projection, unseen_pictures
from inyeon_models.pictures import Picture, classifier_input
from inyeon_models.reduction import int8_scaled
from inyeon_models.runtimes import onnx_session

Float = NDArray[np.float64]

FLAGGED = (1, 3, 4)  # Hentai, Porn, Sexy in the order of labels


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """Of one set: share of equal classes; mean and largest difference of the flagged share;
    share of frames on the other side of a half."""

    pictures_of: str
    count: int
    same_class: float
    mean_apart: float
    most_apart: float
    other_side: float

    def document(self) -> dict[str, object]:
        """The row as JSON."""
        return asdict(self)


def agreement_table(folder: Path, data: Path) -> tuple[AgreementRow, ...]:
    """Measure the built head; sets of the data folder are left out where it is absent."""
    head = load_head(folder / "content_head.npz")
    rows = []
    for name, pictures in unseen_pictures(folder, data).items():
        probabilities, embeddings = _classified(folder, list(pictures))
        rows.append(_row(name, probabilities, head.probabilities(embeddings)))
    return tuple(rows)


def _classified(folder: Path, pictures: list[Picture]) -> tuple[Float, Float]:
    session = onnx_session(folder / "nsfw_mobilenet_v2.onnx")
    projection = load_projection(folder / "content_pca_64.npz")
    probabilities, features = [], []
    for picture in pictures:
        feed = {"pictures": classifier_input(picture)[None]}
        both = session.run(["probabilities", "features"], feed)
        probabilities.append(np.asarray(both[0])[0])
        features.append(np.asarray(both[1])[0])
    quantised, scale = int8_scaled(projection.apply(np.asarray(features, dtype=np.float32)))
    embeddings = quantised.astype(np.float64) * scale[:, None]
    return np.asarray(probabilities, dtype=np.float64), embeddings


def _row(name: str, full: Float, ours: Float) -> AgreementRow:
    flagged, seen = full[:, FLAGGED].sum(axis=1), ours[:, FLAGGED].sum(axis=1)
    apart = np.abs(flagged - seen)
    same = float(np.mean(full.argmax(axis=1) == ours.argmax(axis=1)))
    other = float(np.mean((flagged >= 0.5) != (seen >= 0.5)))
    figures = (round(value, 3) for value in (same, apart.mean(), apart.max(), other))
    return AgreementRow(name, len(full), *(float(value) for value in figures))
