"""Known answers of the models, read from canaries.json (which says how its inputs are made)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.catalogue import IMAGE_MODELS, ImageModel
from inyeon.inference.errors import ModelFailed
from inyeon.runtime.errors import SettingsRefused

FILE = "canaries.json"
_KNUTH = 2654435761  # multiplicative hash modulo 2^32, as in models/inyeon_models/golden.py

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canary:
    """What a model must say: (classes,) float32, each within `bound`."""

    expected: Float
    bound: float

    def check(self, model: str, probabilities: Float) -> None:
        """Raises ModelFailed where the answer is another."""
        apart = float(np.abs(probabilities - self.expected).max())
        if not apart <= self.bound:
            raise ModelFailed(f"{model} is {apart:.3f} off its known answer, at most {self.bound}")


@dataclass(frozen=True, slots=True)
class Canaries:
    """Of the head and of each image model (by product)."""

    dims: int
    head: Canary
    pictures: Mapping[str, Canary]
    patterns: Mapping[str, int]

    @classmethod
    def load(cls, folder: Path) -> Canaries:
        """Raises SettingsRefused where the file is absent, broken or lacks a model."""
        try:
            raw = json.loads((folder / FILE).read_text("utf-8"))
            bound, known = float(raw["bound"]), {item["product"]: item for item in raw["pictures"]}
            facts = {model.product: known[model.product] for model in IMAGE_MODELS}
            pictures = {name: _canary(item["probabilities"], bound) for name, item in facts.items()}
            patterns = {name: int(item["pattern"]) for name, item in facts.items()}
            return cls(int(raw["dims"]), _canary(raw["head"], bound), pictures, patterns)
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{folder / FILE}: no known answers ({error!r}); run `make models`"
            raise SettingsRefused(message, reason="NO_MODELS", field="models_dir") from error

    def embedding(self) -> Float:
        """(dims,) input of the head's canary."""
        return ((109 * np.arange(self.dims) % 255 - 127) / 16.0).astype(np.float32)

    def picture(self, model: ImageModel) -> Float:
        """(1, side, side, 3) input of a model's canary."""
        return pattern(self.patterns[model.product], (1, model.side, model.side, 3))


def pattern(number: int, shape: tuple[int, ...]) -> Float:
    """Input made from integers alone: even numbers give noise in [0, 1), odd ones stripes."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    if number % 2 == 0:
        mixed = ((index + np.uint64(number + 1)) * np.uint64(_KNUTH)) % np.uint64(1 << 32)
        values = (mixed >> np.uint64(8)).astype(np.float64) / (1 << 24)
    else:
        period = 97 * (number + 2)
        values = (index % np.uint64(period)).astype(np.float64) / period
    return values.astype(np.float32).reshape(shape)


def _canary(values: list[float], bound: float) -> Canary:
    return Canary(np.asarray(values, dtype=np.float32), bound)
