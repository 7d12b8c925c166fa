"""The Keras layers of a TF.js `layers-model` as plain, checked facts.

Only what the pinned classifiers use is read; everything else is refused by name, so that a new
release of the package can never be converted wrongly in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.js_literal import Value
from inyeon_models.weights import Tensors

Padding = Literal["valid", "same"]
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InputLayer:
    """The picture: (height, width, channels)."""

    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ZeroPadding:
    """Zeros added as ((top, bottom), (left, right)), in pixels."""

    pads: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution; kernel HWIO, or HWC1 where `depthwise` (one filter for each channel)."""

    kernel: Array
    bias: Array | None
    strides: tuple[int, int]
    padding: Padding
    depthwise: bool


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, each (channels,)."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True, slots=True)
class ReLU:
    """Clip to [0, ceiling]; no ceiling where None."""

    ceiling: float | None


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of all inputs."""


@dataclass(frozen=True, slots=True)
class Affine:
    """x * scale + offset, the same for every value."""

    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Concat:
    """Channels of all inputs, one behind the other."""


@dataclass(frozen=True, slots=True)
class AveragePool:
    """Mean over windows, sizes in pixels; what padding adds does not count."""

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: Padding = "valid"


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Largest value of each window, without padding, sizes in pixels."""

    size: tuple[int, int]
    strides: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Flatten:
    """Height, width and channels become one axis, in that order."""


@dataclass(frozen=True, slots=True)
class Dense:
    """x @ kernel + bias, then the activation; kernel (inputs, units)."""

    kernel: Array
    bias: Array
    activation: Literal["linear", "relu", "softmax"]


@dataclass(frozen=True, slots=True)
class Nothing:
    """A layer that changes nothing at inference (dropout)."""


Operation = (
    InputLayer
    | ZeroPadding
    | Conv
    | BatchNorm
    | ReLU
    | Add
    | Affine
    | Concat
    | AveragePool
    | MaxPool
    | Flatten
    | Dense
    | Nothing
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One node: its unique name, the names of the nodes it reads, and what it does."""

    name: str
    inputs: tuple[str, ...]
    operation: Operation


def read_layers(topology: Value, tensors: Tensors) -> tuple[Layer, ...]:
    """Layers in the order of the file (inputs first); raises ConversionError naming the layer."""
    match topology:
        case {"model_config": {"config": {"layers": list(entries)}}}:
            layers = tuple(_layer(entry, tensors) for entry in entries)
        case _:
            raise ConversionError("modelTopology: no model_config.config.layers")
    known: set[str] = set()
    for layer in layers:
        if missing := set(layer.inputs) - known:
            raise ConversionError(f"{layer.name}: reads {sorted(missing)} before they exist")
        known.add(layer.name)
    return layers


def _layer(entry: Value, tensors: Tensors) -> Layer:
    match entry:
        case {
            "name": str(name),
            "class_name": str(kind),
            "config": dict(config),
            "inbound_nodes": list(inbound),
        }:
            facts = _Facts(name, config, tensors)
            return Layer(name, _inbound(name, inbound), _operation(kind, facts))
    raise ConversionError(f"modelTopology: cannot read the layer {str(entry)[:80]}")


def _inbound(name: str, nodes: list[Value]) -> tuple[str, ...]:
    match nodes:
        case []:
            return ()
        case [list(links)]:
            names = [link[0] for link in links if isinstance(link, list) and link]
            return tuple(source for source in names if isinstance(source, str))
    raise ConversionError(f"{name}: is used more than once")


class _Facts:
    """Typed access to one layer's configuration and weights; every refusal names the layer."""

    def __init__(self, name: str, config: dict[str, Value], tensors: Tensors) -> None:
        self.name = name
        self._config = config
        self._tensors = tensors

    def tensor(self, suffix: str) -> Array:
        try:
            return self._tensors[f"{self.name}/{suffix}"]
        except KeyError:
            raise ConversionError(f"{self.name}: no weight {suffix}") from None

    def get(self, key: str) -> Value:
        return self._config.get(key)

    def flag(self, key: str) -> bool:
        return self._config.get(key) is True

    def pair(self, key: str) -> tuple[int, int]:
        match self._config.get(key):
            case [int(first), int(second)]:
                return first, second
        raise self.refuse(key)

    def demand(self, key: str, *allowed: Value) -> None:
        if self._config.get(key) not in allowed:
            raise self.refuse(key)

    def refuse(self, key: str) -> ConversionError:
        return ConversionError(f"{self.name}: {key}={self._config.get(key)!r} is not supported")


def _operation(kind: str, facts: _Facts) -> Operation:
    match kind:
        case "InputLayer":
            return _input(facts)
        case "ZeroPadding2D":
            return _zero_padding(facts)
        case "Conv2D" | "DepthwiseConv2D":
            return _conv(facts, depthwise=kind == "DepthwiseConv2D")
        case "BatchNormalization":
            return _batch_norm(facts)
        case "ReLU":
            return _relu(facts)
        case "Add":
            return Add()
        case "AveragePooling2D":
            return _average_pool(facts)
        case "MaxPooling2D":
            facts.demand("padding", "valid")
            return MaxPool(facts.pair("pool_size"), facts.pair("strides"))
        case "Activation":
            facts.demand("activation", "relu")
            return ReLU(None)
        case "Concatenate":
            facts.demand("axis", -1, 3)
            return Concat()
        case "Flatten":
            facts.demand("data_format", "channels_last")
            return Flatten()
        case "Dense":
            return _dense(facts)
        case "Dropout":
            return Nothing()
    raise ConversionError(f"{facts.name}: layer class {kind} is not supported")


def _input(facts: _Facts) -> InputLayer:
    match facts.get("batch_input_shape"):
        case [None, int(height), int(width), int(channels)]:
            return InputLayer((height, width, channels))
    raise facts.refuse("batch_input_shape")


def _average_pool(facts: _Facts) -> AveragePool:
    facts.demand("padding", "valid", "same")
    padding: Padding = "same" if facts.get("padding") == "same" else "valid"
    return AveragePool(facts.pair("pool_size"), facts.pair("strides"), padding)


def _zero_padding(facts: _Facts) -> ZeroPadding:
    facts.demand("data_format", "channels_last")
    match facts.get("padding"):
        case [[int(top), int(bottom)], [int(left), int(right)]]:
            return ZeroPadding(((top, bottom), (left, right)))
    raise facts.refuse("padding")


def _conv(facts: _Facts, *, depthwise: bool) -> Conv:
    facts.demand("data_format", "channels_last")
    facts.demand("activation", "linear")
    facts.demand("dilation_rate", [1, 1])
    if depthwise:
        facts.demand("depth_multiplier", 1)
    facts.demand("padding", "valid", "same")
    return Conv(
        kernel=facts.tensor("depthwise_kernel" if depthwise else "kernel"),
        bias=facts.tensor("bias") if facts.flag("use_bias") else None,
        strides=facts.pair("strides"),
        padding="same" if facts.get("padding") == "same" else "valid",
        depthwise=depthwise,
    )


def _batch_norm(facts: _Facts) -> BatchNorm:
    facts.demand("axis", -1, 3)
    facts.demand("center", True)
    facts.demand("scale", True, False)
    epsilon = facts.get("epsilon")
    if not isinstance(epsilon, float):
        raise facts.refuse("epsilon")
    beta = facts.tensor("beta")
    return BatchNorm(
        gamma=facts.tensor("gamma") if facts.flag("scale") else np.ones_like(beta),
        beta=beta,
        mean=facts.tensor("moving_mean"),
        variance=facts.tensor("moving_variance"),
        epsilon=epsilon,
    )


def _relu(facts: _Facts) -> ReLU:
    facts.demand("negative_slope", 0, None)
    facts.demand("threshold", 0, None)
    match facts.get("max_value"):
        case None:
            return ReLU(None)
        case int() | float() as ceiling:
            return ReLU(float(ceiling))
    raise facts.refuse("max_value")


def _dense(facts: _Facts) -> Dense:
    facts.demand("use_bias", True)
    kernel, bias = facts.tensor("kernel"), facts.tensor("bias")
    match facts.get("activation"):
        case ("linear" | "relu" | "softmax") as activation:
            return Dense(kernel, bias, activation)
    raise facts.refuse("activation")
