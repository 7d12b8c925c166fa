from __future__ import annotations

import numpy as np
import pytest

from inyeon_models.errors import ConversionError
from inyeon_models.js_literal import Value
from inyeon_models.layers import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    InputLayer,
    Nothing,
    ReLU,
    ZeroPadding,
    read_layers,
)

pytestmark = pytest.mark.unit

_CONV: dict[str, Value] = {
    "data_format": "channels_last",
    "activation": "linear",
    "dilation_rate": [1, 1],
    "depth_multiplier": 1,
    "padding": "same",
    "strides": [2, 2],
    "use_bias": True,
}
_NORM: dict[str, Value] = {"axis": -1, "center": True, "scale": True, "epsilon": 0.001}
_SUFFIXES = (
    "kernel depthwise_kernel bias gamma beta moving_mean moving_variance"  # every weight we know
)


def _read(kind: str, config: dict[str, Value]) -> object:
    tensors = {f"x/{suffix}": np.ones(3, dtype=np.float32) for suffix in _SUFFIXES.split()}
    entries: list[Value] = [
        {
            "name": "in",
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 8, 8, 3]},
            "inbound_nodes": [],
        },
        {
            "name": "x",
            "class_name": kind,
            "config": config,
            "inbound_nodes": [[["in", 0, 0, {}]]],
        },
    ]
    layers = read_layers({"model_config": {"config": {"layers": entries}}}, tensors)
    assert layers[0].operation == InputLayer((8, 8, 3))
    assert layers[1].inputs == ("in",)
    return layers[1].operation


def test_every_known_class_is_read() -> None:
    assert _read("Add", {}) == Add()
    assert _read("Dropout", {"rate": 0.5}) == Nothing()
    assert _read("Flatten", {"data_format": "channels_last"}) == Flatten()
    assert _read("ReLU", {"max_value": 6}) == ReLU(6.0)
    assert _read("ReLU", {"max_value": None}) == ReLU(None)
    pool: dict[str, Value] = {"padding": "valid", "pool_size": [7, 7], "strides": [7, 7]}
    assert _read("AveragePooling2D", pool) == AveragePool((7, 7), (7, 7))
    padding: dict[str, Value] = {"data_format": "channels_last", "padding": [[0, 1], [0, 1]]}
    assert _read("ZeroPadding2D", padding) == ZeroPadding(((0, 1), (0, 1)))
    assert isinstance(_read("BatchNormalization", _NORM), BatchNorm)
    assert isinstance(_read("Dense", {"use_bias": True, "activation": "relu"}), Dense)
    conv = _read("DepthwiseConv2D", _CONV)
    assert isinstance(conv, Conv)
    assert (conv.depthwise, conv.padding, conv.strides) == (True, "same", (2, 2))


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("Conv2D", {**_CONV, "dilation_rate": [2, 2]}, "dilation_rate"),
        ("Conv2D", {**_CONV, "padding": "causal"}, "padding"),
        ("Conv2D", {**_CONV, "activation": "relu"}, "activation"),
        ("Conv2D", {**_CONV, "strides": 2}, "strides"),
        ("Conv2D", {**_CONV, "data_format": "channels_first"}, "data_format"),
        ("DepthwiseConv2D", {**_CONV, "depth_multiplier": 2}, "depth_multiplier"),
        ("BatchNormalization", {**_NORM, "scale": None}, "scale"),
        ("MaxPooling2D", {"padding": "same"}, "padding"),
        ("Activation", {"activation": "tanh"}, "activation"),
        ("Concatenate", {"axis": 1}, "axis"),
        ("BatchNormalization", {**_NORM, "epsilon": None}, "epsilon"),
        ("ReLU", {"negative_slope": 0.1}, "negative_slope"),
        ("ReLU", {"max_value": "six"}, "max_value"),
        ("Dense", {"use_bias": True, "activation": "tanh"}, "activation"),
        ("Dense", {"use_bias": False, "activation": "relu"}, "use_bias"),
        ("ZeroPadding2D", {"data_format": "channels_last", "padding": 1}, "padding"),
        ("AveragePooling2D", {"padding": "causal"}, "padding"),
        ("InputLayer", {"batch_input_shape": [None, 8]}, "batch_input_shape"),
        ("LSTM", {}, "LSTM"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_layer_and_field(
    kind: str, config: dict[str, Value], field: str
) -> None:
    with pytest.raises(ConversionError, match=f"^x: .*{field}"):
        _read(kind, config)


def test_a_missing_weight_is_named() -> None:
    entry: Value = {"name": "y", "class_name": "Dense", "inbound_nodes": []}
    assert isinstance(entry, dict)
    entry["config"] = {"use_bias": True, "activation": "relu"}
    with pytest.raises(ConversionError, match="y: no weight kernel"):
        read_layers({"model_config": {"config": {"layers": [entry]}}}, {})


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"name": "x"}, "cannot read the layer"),
        (
            {
                "name": "x",
                "class_name": "Add",
                "config": {},
                "inbound_nodes": [[["later", 0, 0, {}]]],
            },
            "before they exist",
        ),
        (
            {"name": "x", "class_name": "Add", "config": {}, "inbound_nodes": [[], []]},
            "more than once",
        ),
    ],
)
def test_a_broken_topology_is_refused(entry: Value, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        read_layers({"model_config": {"config": {"layers": [entry]}}}, {})


def test_no_topology_is_refused() -> None:
    with pytest.raises(ConversionError, match="modelTopology"):
        read_layers(None, {})
