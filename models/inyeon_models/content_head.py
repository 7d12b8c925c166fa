"""The classifier's own last layers, seen through the content embedding.

The embedding is z = components @ (features - mean), so features are nearly componentsᵀ z + mean.
The first dense layer of the classifier is linear in the features: W f + b becomes (W componentsᵀ) z
+ (W mean + b), and the rest stays as it is. Probabilities then follow from 64 numbers, without a
picture; what lies outside the 64 directions is lost (the card says how much that costs).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError, SourceError
from inyeon_models.layers import Dense, Layer
from inyeon_models.reduction import Projection

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ContentHead:
    """h1 = relu(w1 z + b1), h2 = relu(w2 h1 + b2), probabilities = softmax(w3 h2 + b3); float32.

    w1 (256, dims), w2 (128, 256), w3 (classes, 128).
    """

    weights: tuple[Float, Float, Float]
    biases: tuple[Float, Float, Float]

    def probabilities(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, classes) of (n, dims), in float64."""
        value = embeddings.astype(np.float64)
        for weight, bias in zip(self.weights[:2], self.biases[:2], strict=True):
            value = np.maximum(value @ weight.T.astype(np.float64) + bias, 0.0)
        logits = value @ self.weights[2].T.astype(np.float64) + self.biases[2]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def dense_layers(layers: Sequence[Layer]) -> tuple[Dense, Dense, Dense]:
    """The three dense layers at the end; raises ConversionError for another classifier."""
    match [layer.operation for layer in layers if isinstance(layer.operation, Dense)]:
        case [
            Dense(activation="relu") as first,
            Dense(activation="relu") as second,
            Dense(activation="softmax") as last,
        ]:
            return first, second, last
    raise ConversionError("content head: the classifier does not end in relu, relu, softmax")


def make_head(layers: Sequence[Layer], projection: Projection) -> ContentHead:
    """Fold the projection into the first layer, in float64; raises ConversionError."""
    first, second, last = dense_layers(layers)
    if first.kernel.shape[0] != len(projection.mean):
        raise ConversionError("content head: classifier and projection have other features")
    kernel = first.kernel.astype(np.float64)
    folded = projection.components.astype(np.float64) @ kernel
    bias = projection.mean.astype(np.float64) @ kernel + first.bias
    weights = (_float(folded.T), _float(second.kernel.T), _float(last.kernel.T))
    return ContentHead(weights, (_float(bias), _float(second.bias), _float(last.bias)))


def to_npz(head: ContentHead, *, labels: Sequence[str], model: str, version: str) -> bytes:
    """w1 b1 w2 b2 w3 b3, `labels`, and the embedding space by `model`, `version`, `dims`."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True), start=1):
        arrays |= {f"w{number}": weight, f"b{number}": bias}
    arrays |= {"labels": np.asarray(labels), "model": np.asarray(model)}
    arrays |= {"version": np.asarray(version), "dims": np.asarray(head.weights[0].shape[1])}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_head(path: Path) -> ContentHead:
    """Read content_head.npz; raises SourceError naming a file that is absent or broken."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            w1, w2, w3 = archive["w1"], archive["w2"], archive["w3"]
            return ContentHead((w1, w2, w3), (archive["b1"], archive["b2"], archive["b3"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise SourceError(f"{path.name}: not a content head ({error})") from error


def _float(array: NDArray[np.floating]) -> Float:
    return np.ascontiguousarray(array, dtype=np.float32)
