"""Content embeddings as numbers: from the bytes that travel, or the reason why they are none."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

SCALE = struct.Struct("<f")
# Squares of lengths in between are float32 numbers of full precision, and so are their quotients.
SHORTEST, LONGEST = 1e-12, 1e12
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
    number and for a vector of no usable length, which has no direction to compare.
    """
    if dims < 1 or len(data) != SCALE.size + dims:
        raise EmbeddingRefused(LENGTH)
    (scale,) = SCALE.unpack_from(data)
    if not math.isfinite(scale):
        raise EmbeddingRefused(RANGE)
    vector = np.frombuffer(data, np.int8, offset=SCALE.size).astype(np.float64) * scale
    if not SHORTEST <= float(np.linalg.norm(vector)) <= LONGEST:
        raise EmbeddingRefused(RANGE)
    return np.asarray(vector, np.float32)
