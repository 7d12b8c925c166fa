"""The unsafe-picture filter: NSFWJS MobileNetV2, five classes, and the feature behind them."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon_edge.engine.session import Array, RuntimeSession
from inyeon_edge.errors import ShapeError
from inyeon_edge.frame import Image
from inyeon_edge.vision.results import CLASSES
from inyeon_edge.vision.tensors import align_corners, finite

MODEL = "nsfw_mobilenet_v2.onnx"
FEATURES = 1280


@dataclass(frozen=True, eq=False)
class FilterPass:
    """One pass: probabilities in the order of CLASSES, and the pooled feature (1280,) float32."""

    scores: tuple[float, ...]
    feature: Array


class Filter:
    """Scores whole pictures. One picture is a hint, never a verdict: callers vote over time."""

    def __init__(self, session: RuntimeSession) -> None:
        self._session = session
        _, self._side, _, channels = session.inputs[0].shape
        names = {spec.name for spec in session.outputs}
        if channels != 3 or not {"probabilities", "features"} <= names:
            raise ShapeError("the filter must take NHWC and give two outputs", field="outputs")

    def __call__(self, image: Image) -> FilterPass:
        """Raises ShapeError where the model answers with other shapes, NaN or no probabilities."""
        pixels = align_corners(image, self._side)
        out = self._session.run({self._session.inputs[0].name: pixels})
        scores, feature = (
            finite("scores", out["probabilities"]),
            finite("features", out["features"]),
        )
        if scores.shape != (1, len(CLASSES)) or feature.shape != (1, FEATURES):
            raise ShapeError(f"scores {scores.shape}, features {feature.shape}", field="outputs")
        if scores.min() < 0 or abs(float(scores.sum()) - 1) > 0.01:
            raise ShapeError("the scores are no probabilities", field="probabilities")
        return FilterPass(tuple(min(1.0, float(score)) for score in scores[0]), feature[0])
