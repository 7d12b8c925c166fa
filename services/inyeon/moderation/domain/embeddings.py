"""Content embeddings as numbers: from the bytes that travel, or the reason why they are none."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

SCALE = struct.Struct("<f")
MISSING = "EMBEDDING_MISSING"
LENGTH = "EMBEDDING_LENGTH"
RANGE = "EMBEDDING_RANGE"
SPACE = "EMBEDDING_SPACE"


class EmbeddingRefused(ValueError):
    """These bytes are no embedding; `reason` is UPPER_SNAKE."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def unpacked(data: bytes, dims: int) -> NDArray[np.float32]:
    """(dims,) float32 of an INT8_SCALED vector: a float32 scale, then `dims` signed bytes.

    Raises EmbeddingRefused: EMBEDDING_LENGTH, or EMBEDDING_RANGE for a scale that is not a finite
    number and for a vector of length 0, which has no direction to compare.
    """
    if dims < 1 or len(data) != SCALE.size + dims:
        raise EmbeddingRefused(LENGTH)
    (scale,) = SCALE.unpack_from(data)
    steps = np.frombuffer(data, np.int8, offset=SCALE.size)
    if not np.isfinite(scale):
        raise EmbeddingRefused(RANGE)
    vector: NDArray[np.float32] = steps.astype(np.float32) * np.float32(scale)
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(vector).all() or not length > 0.0:
        raise EmbeddingRefused(RANGE)
    return vector
