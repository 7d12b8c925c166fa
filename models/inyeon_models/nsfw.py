"""From the members of the nsfwjs package to layers and to ONNX."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from inyeon_models.errors import SourceError
from inyeon_models.js_literal import exported_value
from inyeon_models.keras_onnx import to_onnx
from inyeon_models.layers import Layer, read_layers
from inyeon_models.weights import dequantise, join_shards, tensor_specs

# Output name -> layer: the softmax, and the pooled feature in front of the dense layers.
OUTPUTS = {"probabilities": "dense_3", "features": "flatten_1"}


def read_classifier(members: Mapping[str, bytes]) -> tuple[Layer, ...]:
    """Layers with their weights; raises SourceError or ConversionError."""
    modules = {name: _text(name, data) for name, data in members.items()}
    topology = next((name for name in modules if "model.min.js" in name), None)
    if topology is None:
        raise SourceError("nsfwjs: no model.min.js among the members")
    model = exported_value(modules.pop(topology))
    if not isinstance(model, dict):
        raise SourceError(f"{topology}: exports no object")
    specs = tensor_specs(model.get("weightsManifest"))
    return read_layers(model.get("modelTopology"), dequantise(specs, join_shards(modules)))


def convert(members: Mapping[str, bytes], metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The classifier as ONNX with both outputs."""
    return to_onnx(read_classifier(members), outputs=OUTPUTS, metadata=metadata)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: not UTF-8 text ({error.reason})") from error
