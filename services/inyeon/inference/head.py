"""The head on the content embedding: the classifier's own last layers, from 64 numbers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.port import SpaceId
from inyeon.runtime.errors import SettingsRefused

FILE = "content_head.npz"
NAME = "content-head"
VERSION = "1"

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ContentHead:
    """relu, relu, softmax; `weights` are (out, in), `biases` (out,), float32."""

    space: SpaceId
    labels: tuple[str, ...]
    weights: tuple[Float, Float, Float]
    biases: tuple[Float, Float, Float]

    @property
    def model(self) -> str:
        """name@version."""
        return f"{NAME}@{VERSION}"

    @classmethod
    def load(cls, folder: Path) -> ContentHead:
        """Reads content_head.npz; raises SettingsRefused where it is absent or broken."""
        path = folder / FILE
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                return _from(archive)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            message = f"{path}: no content head ({error}); run `make models`"
            raise SettingsRefused(message, reason="NO_MODELS", field="models_dir") from error

    def probabilities(self, embedding: Float) -> Float:
        """(classes,) of a (dims,) embedding."""
        value = embedding
        for weight, bias in zip(self.weights[:2], self.biases[:2], strict=True):
            value = np.maximum(weight @ value + bias, np.float32(0.0))
        logits = (self.weights[2] @ value + self.biases[2]).astype(np.float64)
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


def _from(archive: np.lib.npyio.NpzFile) -> ContentHead:
    space = SpaceId(str(archive["model"]), str(archive["version"]), int(archive["dims"]))
    w1, w2, w3 = (archive[name] for name in ("w1", "w2", "w3"))
    b1, b2, b3 = (archive[name] for name in ("b1", "b2", "b3"))
    return ContentHead(space, tuple(archive["labels"].tolist()), (w1, w2, w3), (b1, b2, b3))
