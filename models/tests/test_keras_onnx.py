from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.keras_onnx import to_onnx
from inyeon_models.keras_reference import forward
from inyeon_models.layers import (
    Add,
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    InputLayer,
    Layer,
    Nothing,
    Padding,
    ReLU,
    ZeroPadding,
)

pytestmark = pytest.mark.unit

Float = NDArray[np.float32]


def _numbers(*shape: int, seed: int = 0) -> Float:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _agree(layers: list[Layer], picture: Float, *outputs: str) -> None:
    model = to_onnx(layers, outputs={name: name for name in outputs}, metadata={"name": "t"})
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(list(outputs), {"pictures": picture})
    exact = forward(layers, picture)
    for name, value in zip(outputs, values, strict=True):
        np.testing.assert_allclose(np.asarray(value), exact[name], rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(5, 12),
    window=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    padding=st.sampled_from(["valid", "same"]),
    depthwise=st.booleans(),
)
def test_convolutions_agree_with_plain_numpy(
    size: int, window: int, stride: int, padding: Padding, depthwise: bool
) -> None:
    kernel = _numbers(window, window, 3, 1 if depthwise else 4)
    bias = _numbers(3 if depthwise else 4, seed=1)
    conv = Conv(kernel, bias, (stride, stride), padding, depthwise)
    layers = [
        Layer("in", (), InputLayer((size, size + 1, 3))),
        Layer("conv", ("in",), conv),
        Layer("flat", ("conv",), Flatten()),
    ]
    model = to_onnx(layers, outputs={}, metadata={})
    assert len(model.graph.output) == 0
    picture = _numbers(2, size, size + 1, 3, seed=2)
    rows = forward(layers, picture)["flat"].shape[1]
    out = Layer("out", ("flat",), Dense(_numbers(rows, 7, seed=3), _numbers(7), "linear"))
    _agree([*layers, out], picture, "out")


def test_a_small_network_of_all_layers_agrees() -> None:
    channels = 4
    norm = BatchNorm(
        gamma=_numbers(channels),
        beta=_numbers(channels, seed=1),
        mean=_numbers(channels, seed=2),
        variance=np.asarray([0.0, 0.5, 1.0, 2.0], dtype=np.float32),
        epsilon=0.001,
    )
    layers = [
        Layer("in", (), InputLayer((9, 9, 3))),
        Layer("pad", ("in",), ZeroPadding(((0, 1), (0, 1)))),
        Layer("conv", ("pad",), Conv(_numbers(3, 3, 3, channels), None, (2, 2), "valid", False)),
        Layer("norm", ("conv",), norm),
        Layer("six", ("norm",), ReLU(6.0)),
        Layer("open", ("norm",), ReLU(None)),
        Layer("sum", ("six", "open"), Add()),
        Layer("pool", ("sum",), AveragePool((2, 2), (2, 2))),
        Layer("flat", ("pool",), Flatten()),
        Layer("hidden", ("flat",), Dense(_numbers(16, 8), _numbers(8), "relu")),
        Layer("drop", ("hidden",), Nothing()),
        Layer("classes", ("drop",), Dense(_numbers(8, 5), _numbers(5), "softmax")),
    ]
    _agree(layers, _numbers(3, 9, 9, 3, seed=9), "classes", "hidden")


def test_flatten_keeps_the_order_height_width_channels() -> None:
    layers = [Layer("in", (), InputLayer((2, 3, 2))), Layer("flat", ("in",), Flatten())]
    picture = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    eye = Dense(np.eye(12, dtype=np.float32), np.zeros(12, dtype=np.float32), "linear")
    _agree([*layers, Layer("out", ("flat",), eye)], picture, "out")
    assert forward(layers, picture)["flat"].tolist() == [list(range(12))]


def test_an_output_that_is_no_layer_is_refused() -> None:
    layers = [Layer("in", (), InputLayer((2, 2, 3)))]
    with pytest.raises(ConversionError, match="there is no layer dense_9"):
        to_onnx(layers, outputs={"p": "dense_9"}, metadata={})
