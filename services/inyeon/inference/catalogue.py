"""Which heavy models there are, by the names that Triton, metrics and opinions use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ModelName = Literal["embedding_judge", "image_filter_inception", "image_filter_mid"]

Backend = Literal["onnxruntime", "python"]
"""What runs the image models in tritonserver: its ONNX backend, or onnxruntime in Python."""

JUDGE: Final = "embedding_judge"
JUDGE_BATCH = 64
"""Embeddings that the judge takes at once."""
SESSION_ENCODER: Final = "session_encoder"
"""Matching's; not among MODEL_NAMES, because moderation neither asks nor watches it."""


@dataclass(frozen=True, slots=True)
class ImageModel:
    """One image filter: `pictures` (n, side, side, 3) float32 -> `probabilities` (n, classes)."""

    name: ModelName
    product: str
    """Name in models/manifest.toml."""
    version: str
    file: str
    side: int
    threads: int
    """On a server: two halve Inception's 117 ms; the smaller filter takes 14 ms with two as with
    one, and twice the CPU (two cores)."""

    @property
    def model(self) -> str:
        """name@version, as opinions say it."""
        return f"{self.product}@{self.version}"


LABELS = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
INCEPTION = ImageModel(
    "image_filter_inception", "nsfw-inception-v3", "nsfwjs-4.3.0", "nsfw_inception_v3.onnx", 299, 2
)
MID = ImageModel(
    "image_filter_mid",
    "nsfw-mobilenet-v2-mid",
    "nsfwjs-4.3.0",
    "nsfw_mobilenet_v2_mid.onnx",
    224,
    1,
)
IMAGE_MODELS = (INCEPTION, MID)
MODEL_NAMES: tuple[ModelName, ...] = (JUDGE, INCEPTION.name, MID.name)
EXPORTED_NAMES: tuple[str, ...] = (*MODEL_NAMES, SESSION_ENCODER)
"""What a model repository holds."""
