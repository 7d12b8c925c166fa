"""From the members of the nsfwjs package to layers and to ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from inyeon_models.errors import ConversionError, SourceError
from inyeon_models.graph_model import read_graph
from inyeon_models.js_literal import exported_value
from inyeon_models.keras_onnx import to_onnx
from inyeon_models.layers import Layer, read_layers
from inyeon_models.weights import dequantise, join_shards, tensor_specs

# Output name -> layer: the pooled feature in front of the dense layers of the Keras models.
FEATURES = "flatten_1"


def read_classifier(members: Mapping[str, bytes]) -> tuple[Layer, ...]:
    """Layers with their weights, from Keras layers or from a TF.js graph, whichever the package
    holds; raises SourceError or ConversionError.
    """
    modules = {name: _text(name, data) for name, data in members.items()}
    topology = next((name for name in modules if "model.min.js" in name), None)
    if topology is None:
        raise SourceError("nsfwjs: no model.min.js among the members")
    model = exported_value(modules.pop(topology))
    if not isinstance(model, dict):
        raise SourceError(f"{topology}: exports no object")
    specs = tensor_specs(model.get("weightsManifest"))
    tensors = dequantise(specs, join_shards(modules))
    read = read_graph if model.get("format") == "graph-model" else read_layers
    return read(model.get("modelTopology"), tensors)


def output_layers(layers: Sequence[Layer], names: Sequence[str]) -> dict[str, str]:
    """Output name -> layer: `probabilities` is the last one, `features` the pooled feature.

    Raises ConversionError for another name.
    """
    known = {"probabilities": layers[-1].name, "features": FEATURES}
    if unknown := set(names) - set(known):
        raise ConversionError(f"a classifier has no outputs called {sorted(unknown)}")
    return {name: known[name] for name in names}


def convert(
    members: Mapping[str, bytes], names: Sequence[str], metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """The classifier as ONNX with the outputs called `names`."""
    layers = read_classifier(members)
    return to_onnx(layers, outputs=output_layers(layers, names), metadata=metadata)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: not UTF-8 text ({error.reason})") from error
