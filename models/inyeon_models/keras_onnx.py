"""Writes Keras layers as ONNX: NHWC outside as the devices hold pictures, NCHW inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from inyeon_models.errors import ConversionError
from inyeon_models.layers import (
    Add,
    Affine,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Flatten,
    InputLayer,
    Layer,
    MaxPool,
    Nothing,
    ReLU,
    ZeroPadding,
)
from inyeon_models.onnx_graph import GraphBuilder

INPUT = "pictures"
BATCH = "batch"


def to_onnx(
    layers: Sequence[Layer], *, outputs: Mapping[str, str], metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Convert; `outputs` maps an output's name to the layer (of rank 2) that it shows.

    The model reads `pictures` [batch, height, width, 3] float32 in [0, 1] and gives each output
    as [batch, n] float32. Raises ConversionError for a layer that does not exist.
    """
    graph = GraphBuilder("keras")
    values: dict[str, str] = {}
    widths: dict[str, int] = {}
    for layer in layers:
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = _emit(graph, layer, inputs)
        widths[layer.name] = _width(layer, widths)
    for name, layer_name in outputs.items():
        if layer_name not in values:
            raise ConversionError(f"output {name}: there is no layer {layer_name}")
        graph.add_output(values[layer_name], name, [BATCH, widths[layer_name]])
    return graph.build(metadata)


def _width(layer: Layer, widths: Mapping[str, int]) -> int:
    """Channels after the layer: what an output of rank 2 has as its second axis."""
    match layer.operation:
        case InputLayer(shape):
            return shape[2]
        case Conv(kernel, depthwise=depthwise):
            return int(kernel.shape[2 if depthwise else 3])
        case Dense(kernel):
            return int(kernel.shape[1])
        case Concat():
            return sum(widths[name] for name in layer.inputs)
    return widths[layer.inputs[0]]


def _emit(graph: GraphBuilder, layer: Layer, inputs: Sequence[str]) -> str:
    match layer.operation:
        case InputLayer((height, width, channels)):
            pictures = graph.add_input(INPUT, [BATCH, height, width, channels])
            return graph.node("Transpose", pictures, perm=[0, 3, 1, 2])
        case ZeroPadding(((top, bottom), (left, right))):
            pads = graph.ints([0, 0, top, left, 0, 0, bottom, right], "pads")
            return graph.node("Pad", inputs[0], pads)
        case Conv() as conv:
            return _conv(graph, conv, inputs[0])
        case BatchNorm() as norm:
            return _batch_norm(graph, norm, inputs[0])
        case ReLU(ceiling):
            return _relu(graph, ceiling, inputs[0])
        case Add():
            return graph.node("Sum", *inputs)
        case Affine(scale, offset):
            scaled = graph.node("Mul", inputs[0], graph.scalar(scale, "scale"))
            return graph.node("Add", scaled, graph.scalar(offset, "offset"))
        case Concat():
            return graph.node("Concat", *inputs, axis=1)
        case AveragePool() as pool:
            return _average_pool(graph, pool, inputs[0])
        case MaxPool(size, strides):
            return graph.node("MaxPool", inputs[0], kernel_shape=size, strides=strides)
        case Flatten():
            # Keras flattens height, width, channels; ours is channels first until here
            return graph.node("Flatten", graph.node("Transpose", inputs[0], perm=[0, 2, 3, 1]))
        case Dense() as dense:
            return _dense(graph, dense, inputs[0])
        case Nothing():
            return inputs[0]


def _average_pool(graph: GraphBuilder, pool: AveragePool, value: str) -> str:
    windows = {"kernel_shape": pool.size, "strides": pool.strides}
    if pool.padding == "valid":
        return graph.node("AveragePool", value, **windows)
    return graph.node("AveragePool", value, auto_pad="SAME_UPPER", count_include_pad=0, **windows)


def _relu(graph: GraphBuilder, ceiling: float | None, value: str) -> str:
    if ceiling is None:
        return graph.node("Relu", value)
    limits = graph.scalar(0.0, "floor"), graph.scalar(ceiling, "ceiling")
    return graph.node("Clip", value, *limits)


def _conv(graph: GraphBuilder, conv: Conv, value: str) -> str:
    # HWIO -> OIHW; depthwise HWC1 -> C1HW with one group for each channel
    axes = (2, 3, 0, 1) if conv.depthwise else (3, 2, 0, 1)
    operands = [value, graph.constant(conv.kernel.transpose(axes), "kernel")]
    if conv.bias is not None:
        operands.append(graph.constant(conv.bias, "bias"))
    return graph.node(
        "Conv",
        *operands,
        strides=conv.strides,
        group=conv.kernel.shape[2] if conv.depthwise else 1,
        auto_pad="SAME_UPPER" if conv.padding == "same" else "VALID",
    )


def _batch_norm(graph: GraphBuilder, norm: BatchNorm, value: str) -> str:
    parts = (norm.gamma, norm.beta, norm.mean, np.maximum(norm.variance, 0.0))
    operands = [graph.constant(part.astype(np.float32), "norm") for part in parts]
    return graph.node("BatchNormalization", value, *operands, epsilon=norm.epsilon)


def _dense(graph: GraphBuilder, dense: Dense, value: str) -> str:
    kernel, bias = graph.constant(dense.kernel, "kernel"), graph.constant(dense.bias, "bias")
    product = graph.node("Gemm", value, kernel, bias)
    match dense.activation:
        case "relu":
            return graph.node("Relu", product)
        case "softmax":
            return graph.node("Softmax", product, axis=-1)
    return product
