"""A TF.js `graph-model` of a classifier, read into the same plain layers as the Keras models.

The converter of TF.js has fused batch norms, biases and activations into the convolutions, so one
node becomes one or two layers. Attributes that are texts are base64. Everything that the pinned
classifier does not use is refused by name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.js_literal import Value
from inyeon_models.layers import (
    Add,
    Affine,
    AveragePool,
    Conv,
    Dense,
    Flatten,
    InputLayer,
    Layer,
    Nothing,
    Operation,
    Padding,
    ReLU,
)
from inyeon_models.weights import Tensors

Array = NDArray[np.float32]

_ADDED = "_activation"  # ending of the layer that a fused activation becomes
_PADDINGS: Mapping[str, Padding] = {"VALID": "valid", "SAME": "same"}


def read_graph(topology: Value, tensors: Tensors) -> tuple[Layer, ...]:
    """Layers in the order of the file (inputs first); raises ConversionError naming the node."""
    match topology:
        case {"node": list(entries)}:
            return _Reader(tensors).read(entries)
    raise ConversionError("modelTopology: no node")


class _Node:
    """Typed access to one node; every refusal names it."""

    def __init__(self, entry: Value, tensors: Tensors) -> None:
        self.name, self.kind = _text(entry, "name"), _text(entry, "op")
        inputs, attributes = _get(entry, "input"), _get(entry, "attr")
        self.inputs = [text for text in _list(inputs) if isinstance(text, str)]
        self._attributes = attributes if isinstance(attributes, dict) else {}
        self._tensors = tensors

    def constant(self, place: int) -> Array | None:
        """The weight at that input; None where the input is another node's value."""
        return self._tensors.get(self._input(place))

    def weight(self, place: int) -> Array:
        found = self.constant(place)
        if found is None:
            raise ConversionError(f"{self.name}: input {place} is no weight")
        return found

    def number(self, place: int) -> float:
        found = self.weight(place)
        if found.size != 1:
            raise ConversionError(f"{self.name}: input {place} is not one number")
        return float(found.ravel()[0])

    def text(self, key: str) -> str:
        return self._decoded(_get(self._attributes.get(key), "s"), key)

    def texts(self, key: str) -> list[str]:
        values = _list(_get(_get(self._attributes.get(key), "list"), "s"))
        return [self._decoded(value, key) for value in values]

    def plane(self, key: str) -> tuple[int, int]:
        """Height and width of a list of four, NHWC."""
        match [_integer(value) for value in self.integers(key)]:
            case [1, int(height), int(width), 1]:
                return height, width
        raise self.refuse(key)

    def integers(self, key: str) -> list[Value]:
        return _list(_get(_get(self._attributes.get(key), "list"), "i"))

    def demand_plain(self) -> None:
        """Refuses another layout and dilation."""
        if self._attributes.get("data_format") is not None and self.text("data_format") != "NHWC":
            raise self.refuse("data_format")
        if any(_integer(value) != 1 for value in self.integers("dilations")):
            raise self.refuse("dilations")

    def demand_not_transposed(self) -> None:
        for key in ("transpose_a", "transpose_b"):
            if _get(self._attributes.get(key), "b") is True:
                raise self.refuse(key)

    def shape(self) -> tuple[int, int, int]:
        dims = _list(_get(_get(self._attributes.get("shape"), "shape"), "dim"))
        match [_integer(_get(dim, "size")) for dim in dims]:
            case [_, int(height), int(width), int(channels)]:
                return height, width, channels
        raise self.refuse("shape")

    def refuse(self, key: str) -> ConversionError:
        return ConversionError(f"{self.name}: {key}={self._attributes.get(key)} is not supported")

    def _input(self, place: int) -> str:
        if place >= len(self.inputs):
            raise ConversionError(f"{self.name}: has no input {place}")
        return self.inputs[place]

    def _decoded(self, value: Value, key: str) -> str:
        try:
            return base64.b64decode(
                value if isinstance(value, str) else "!", validate=True
            ).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise self.refuse(key) from None


class _Reader:
    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._layers: list[Layer] = []
        self._values: dict[str, str] = {}  # node -> the layer that shows its value

    def read(self, entries: list[Value]) -> tuple[Layer, ...]:
        for entry in entries:
            node = _Node(entry, self._tensors)
            if node.kind != "Const":
                self._add(node)
        return tuple(self._layers)

    def _add(self, node: _Node) -> None:
        emit = _KINDS.get(node.kind)
        if emit is None:
            raise ConversionError(f"{node.name}: node class {node.kind} is not supported")
        if node.kind == "Softmax":
            return self._softmax(node)
        operation, extra = emit(node)
        sources = [name for name in node.inputs if name not in self._tensors]
        self._append(node.name, sources, operation)
        if extra is not None:
            name = node.name + _ADDED
            self._layers.append(Layer(name, (node.name,), extra))
            self._values[node.name] = name

    def _append(self, name: str, sources: list[str], operation: Operation) -> None:
        if missing := [source for source in sources if source not in self._values]:
            raise ConversionError(f"{name}: reads {missing} before they exist")
        inputs = tuple(self._values[source] for source in sources)
        self._layers.append(Layer(name, inputs, operation))
        self._values[name] = name

    def _softmax(self, node: _Node) -> None:
        """Becomes the activation of the dense layer in front of it."""
        last = self._layers[-1] if self._layers else None
        match last:
            case Layer(name, inputs, Dense(kernel, bias, "linear")) if node.inputs == [name]:
                self._layers[-1] = Layer(name, inputs, Dense(kernel, bias, "softmax"))
                self._values[node.name] = name
            case _:
                raise ConversionError(f"{node.name}: a softmax must follow a dense layer")


_Emitted = tuple[Operation, Operation | None]


def _placeholder(node: _Node) -> _Emitted:
    return InputLayer(node.shape()), None


def _multiply(node: _Node) -> _Emitted:
    place = 0 if node.constant(0) is not None else 1
    return Affine(node.number(place), 0.0), None


def _subtract(node: _Node) -> _Emitted:
    return Affine(1.0, -node.number(1)), None


def _convolution(node: _Node) -> _Emitted:
    node.demand_plain()
    padding = _PADDINGS.get(node.text("padding"))
    if padding is None:
        raise node.refuse("padding")
    depthwise = node.kind.startswith("FusedDepthwise")
    strides = node.plane("strides")
    return Conv(node.weight(1), _bias(node), strides, padding, depthwise), _activation(node)


def _bias(node: _Node) -> Array:
    if node.texts("fused_ops")[:1] != ["BiasAdd"]:
        raise node.refuse("fused_ops")
    return node.weight(2)


def _activation(node: _Node) -> Operation | None:
    match node.texts("fused_ops")[1:]:
        case []:
            return None
        case ["Relu"]:
            return ReLU(None)
        case ["Relu6"]:
            return ReLU(6.0)
    raise node.refuse("fused_ops")


def _average(node: _Node) -> _Emitted:
    node.demand_plain()
    if node.text("padding") != "VALID":
        raise node.refuse("padding")
    return AveragePool(node.plane("ksize"), node.plane("strides")), None


def _squeeze(node: _Node) -> _Emitted:
    if [_integer(value) for value in node.integers("squeeze_dims")] != [1, 2]:
        raise node.refuse("squeeze_dims")
    return Flatten(), None


def _dense(node: _Node) -> _Emitted:
    node.demand_not_transposed()
    if _activation(node) is not None:
        raise node.refuse("fused_ops")
    return Dense(node.weight(1), _bias(node), "linear"), None


def _add(_: _Node) -> _Emitted:
    return Add(), None


def _nothing(_: _Node) -> _Emitted:
    return Nothing(), None


_KINDS: Mapping[str, Callable[[_Node], _Emitted]] = {
    "Placeholder": _placeholder,
    "Mul": _multiply,
    "Sub": _subtract,
    "_FusedConv2D": _convolution,
    "FusedDepthwiseConv2dNative": _convolution,
    "AddV2": _add,
    "AvgPool": _average,
    "Squeeze": _squeeze,
    "_FusedMatMul": _dense,
    "Softmax": _nothing,
    "Identity": _nothing,
}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _get(value: Value, key: str) -> Value:
    return value.get(key) if isinstance(value, dict) else None


def _text(entry: Value, key: str) -> str:
    value = _get(entry, key)
    if not isinstance(value, str):
        raise ConversionError(f"modelTopology: cannot read the node {str(entry)[:80]}")
    return value


def _integer(value: Value) -> int | None:
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None
