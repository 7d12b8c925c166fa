"""A second, independent reading of the Keras layers: plain numpy in float64, NHWC throughout.

Slow and simple on purpose. It shares with the ONNX writer only the parsed layers, so an error in
axis order, padding, grouping or normalisation shows as a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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

Float = NDArray[np.float64]


def forward(layers: Sequence[Layer], pictures: NDArray[np.float32]) -> dict[str, Float]:
    """Value of every layer by name for `pictures` (n, height, width, 3)."""
    values: dict[str, Float] = {}
    for layer in layers:
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = _apply(layer, inputs, pictures.astype(np.float64))
    return values


def dense_forward(layers: Sequence[Dense], rows: Float) -> Float:
    """Rows (n, inputs) through dense layers alone."""
    for layer in layers:
        rows = _dense(layer, rows)
    return rows


def _apply(layer: Layer, inputs: Sequence[Float], pictures: Float) -> Float:
    match layer.operation:
        case InputLayer():
            return pictures
        case ZeroPadding(pads):
            return np.asarray(np.pad(inputs[0], ((0, 0), *pads, (0, 0))))
        case Conv() as conv:
            return _conv(conv, inputs[0])
        case BatchNorm(gamma, beta, mean, variance, epsilon):
            deviation = np.sqrt(variance.astype(np.float64) + epsilon)
            return np.asarray((inputs[0] - mean) / deviation * gamma + beta)
        case ReLU(ceiling):
            return np.asarray(np.clip(inputs[0], 0.0, ceiling))
        case Add():
            return np.asarray(np.sum(np.stack(inputs), axis=0))
        case Affine(scale, offset):
            return np.asarray(inputs[0] * scale + offset)
        case Concat():
            return np.concatenate(inputs, axis=-1)
        case AveragePool() as pool:
            return _average_pool(pool, inputs[0])
        case MaxPool(size, strides):
            return np.asarray(_windows(inputs[0], size, strides).max(axis=(3, 4)))
        case Flatten():
            return np.reshape(inputs[0], (len(inputs[0]), -1))
        case Dense() as dense:
            return _dense(dense, inputs[0])
        case Nothing():
            return inputs[0]


def _conv(conv: Conv, value: Float) -> Float:
    size = (conv.kernel.shape[0], conv.kernel.shape[1])
    if conv.padding == "same":
        value = _pad_same(value, size, conv.strides)
    height = (value.shape[1] - size[0]) // conv.strides[0] + 1
    width = (value.shape[2] - size[1]) // conv.strides[1] + 1
    total: Float | None = None
    for row in range(size[0]):
        for column in range(size[1]):
            shifted = value[:, row :: conv.strides[0], column :: conv.strides[1]]
            shifted = shifted[:, :height, :width]
            tap = conv.kernel[row, column].astype(np.float64)
            part = shifted * tap[:, 0] if conv.depthwise else shifted @ tap
            total = part if total is None else total + part
    result = np.asarray(total)
    return result if conv.bias is None else np.asarray(result + conv.bias)


def _pad_same(value: Float, size: tuple[int, int], strides: tuple[int, int]) -> Float:
    """Keras 'same': ceil(n / stride) outputs, the odd pixel of padding at the end."""
    pads = []
    for length, window, step in zip(value.shape[1:3], size, strides, strict=True):
        missing = max((-(-length // step) - 1) * step + window - length, 0)
        pads.append((missing // 2, missing - missing // 2))
    return np.pad(value, ((0, 0), *pads, (0, 0)))


def _average_pool(pool: AveragePool, value: Float) -> Float:
    """Sums divided by how many real pixels each window holds."""
    counts = np.ones((1, *value.shape[1:3], 1))
    if pool.padding == "same":
        value = _pad_same(value, pool.size, pool.strides)
        counts = _pad_same(counts, pool.size, pool.strides)
    total = _windows(value, pool.size, pool.strides).sum(axis=(3, 4))
    return np.asarray(total / _windows(counts, pool.size, pool.strides).sum(axis=(3, 4)))


def _windows(value: Float, size: tuple[int, int], strides: tuple[int, int]) -> Float:
    """(n, rows, columns, window height, window width, channels)."""
    view = np.lib.stride_tricks.sliding_window_view(value, size, axis=(1, 2))
    return np.moveaxis(view[:, :: strides[0], :: strides[1]], 3, -1)


def _dense(dense: Dense, value: Float) -> Float:
    product = value @ dense.kernel.astype(np.float64) + dense.bias
    if dense.activation == "relu":
        return np.maximum(product, 0.0)
    if dense.activation == "softmax":
        powers = np.exp(product - product.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return np.asarray(product)
