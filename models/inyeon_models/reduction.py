"""Principal components and int8, as both embeddings use them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.files import sha256_of_bytes

Float = NDArray[np.float32]

_TINY = 1e-12  # a vector of zeros keeps zeros instead of becoming NaN


@dataclass(frozen=True, slots=True)
class Projection:
    """reduced = components @ (vector - mean); mean (n,), components (dims, n), float32.

    Components have length 1 and stand at right angles, so a reduced vector keeps distances except
    for what lies outside the kept directions.
    """

    mean: Float
    components: Float

    @property
    def dims(self) -> int:
        """How many numbers a reduced vector has."""
        return int(self.components.shape[0])

    def version(self, recipe: str) -> str:
        """`recipe` and the first 12 digits of the numbers' digest: equal only for equal numbers."""
        digest = sha256_of_bytes(self.mean.tobytes() + self.components.tobytes())
        return f"{recipe}-{digest[:12]}"

    def apply(self, vectors: Float) -> Float:
        """Reduce rows (m, n) to (m, dims)."""
        return np.asarray((vectors - self.mean) @ self.components.T, dtype=np.float32)


def fit(vectors: Float, dims: int, *, centred: bool = True) -> Projection:
    """Principal directions of rows (m, n), in float64, strongest first.

    Not `centred` keeps the mean at zero, for vectors that are compared by their angle. Signs are
    fixed (largest number of each direction positive). Raises ConversionError for too few rows.
    """
    if min(vectors.shape) < dims:
        raise ConversionError(f"{dims} directions cannot be fitted on shape {vectors.shape}")
    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0) if centred else np.zeros(exact.shape[1])
    directions = np.linalg.svd(exact - mean, full_matrices=False)[2][:dims]
    strongest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(dims), strongest])
    components = directions * signs[:, None]
    return Projection(mean.astype(np.float32), components.astype(np.float32))


def int8_scaled(vectors: Float) -> tuple[NDArray[np.int8], Float]:
    """Quantise rows to int8 with one scale each: value = q * scale, q in [-127, 127]."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), _TINY) / np.float32(127.0)
    quantised = np.rint(vectors / scale).astype(np.int8)
    return quantised, np.asarray(scale[:, 0], dtype=np.float32)


def unit(vectors: Float) -> Float:
    """Scale rows to length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, _TINY), dtype=np.float32)


def to_npz(projection: Projection, **facts: str) -> bytes:
    """The .npz file: mean, components, dims and one text array for each fact. Bytes are stable."""
    buffer = io.BytesIO()
    arrays: dict[str, NDArray[np.generic]] = {
        "mean": projection.mean,
        "components": projection.components,
        "dims": np.asarray(projection.dims, dtype=np.int64),
    }
    arrays |= {key: np.asarray(value) for key, value in facts.items()}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
