"""The content embedding (68 bytes) of the filter's own pass, and the perceptual hash."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inyeon_edge.engine.session import Array
from inyeon_edge.errors import ModelCorrupt, ShapeError
from inyeon_edge.frame import Image

MODEL = "content_pca_64.npz"
DIMS = 64
SIZE_BYTES = 4 + DIMS  # one little-endian float32 scale, then one signed byte for each dimension


@dataclass(frozen=True, eq=False)
class ContentPca:
    """Centre and axes of the reduction: mean (1280,), components (64, 1280), float32."""

    mean: Array
    components: Array
    version: str


class ContentEmbedder:
    """Reduces the filter's feature to DIMS dimensions (overlap@10 0.973 of the full one)."""

    def __init__(self, pca: ContentPca) -> None:
        self._pca = pca

    @property
    def version(self) -> str:
        """Vectors of different versions must never be compared."""
        return self._pca.version

    def __call__(self, feature: Array) -> bytes:
        """INT8_SCALED bytes of a (1280,) float32 feature; raises ShapeError."""
        if feature.shape != self._pca.mean.shape:
            raise ShapeError(f"the feature has shape {feature.shape}", field="feature")
        return int8_scaled(self._pca.components @ (feature - self._pca.mean))


def load_pca(path: Path) -> ContentPca:
    """Reads mean, components and version; raises ModelCorrupt on another form."""
    try:
        # numpy leaves a path open where it is no zip file; our own handle is closed either way.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            pca = ContentPca(
                data["mean"].astype(np.float32),
                data["components"].astype(np.float32),
                str(data["version"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelCorrupt(f"{path.name}: {error}", field=path.name) from error
    if pca.mean.ndim != 1 or pca.components.shape != (DIMS, pca.mean.shape[0]):
        raise ModelCorrupt(f"{path.name} holds {pca.components.shape}", field=path.name)
    return pca


def int8_scaled(vector: Array) -> bytes:
    """Scale = largest magnitude / 127, then round(value / scale); all zero gives scale 0."""
    largest = float(np.abs(vector).max(initial=0))
    if not np.isfinite(largest):
        raise ShapeError("the vector holds NaN or infinity", field="vector")
    scale = float(np.float32(largest / 127))
    steps = np.rint(vector / scale) if scale > 0 else np.zeros_like(vector)
    return struct.pack("<f", scale) + np.clip(steps, -127, 127).astype(np.int8).tobytes()


def perceptual_hash(image: Image) -> bytes:
    """64-bit DCT hash (Zauner 2010: 32 x 32 luma, lowest 8 x 8, against their median), big-endian.

    The smallest of the eight dihedral forms: a mirrored camera gives the same hash. Flips only
    change signs of coefficients and a transposition swaps them, so one DCT serves all eight.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.asarray(cv2.dct(small), np.float32)[:8, :8]
    sign = np.where(np.arange(8) % 2 == 0, 1, -1).astype(np.float32)
    forms = [
        form * across[None, :] * down[:, None]
        for form in (low, low.T)
        for across in (np.ones(8, np.float32), sign)
        for down in (np.ones(8, np.float32), sign)
    ]
    return min(_bits(form) for form in forms)


def _bits(low: Array) -> bytes:
    # The first coefficient is mean brightness, 30 times the rest: left out of the median.
    # Rounding makes a flat picture's noise around zero one value instead of a coin toss.
    values = np.round(low.ravel(), 2)
    return np.packbits(values > np.median(values[1:])).tobytes()
