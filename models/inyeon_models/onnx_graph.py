"""A small, typed builder of ONNX graphs: every piece of the converters is one call here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# IR 10 and opset 17 (LayerNormalization) are read by onnxruntime >= 1.18 and Triton >= 24.07.
OPSET = 17
IR_VERSION = 10

Attribute = int | float | str | Sequence[int] | Sequence[float]
Shape = Sequence[int | str]


class GraphBuilder:
    """Collects nodes and constants; a value is the name of an edge."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def add_input(self, name: str, shape: Shape) -> str:
        """Declare a float32 input; a text in `shape` is a free axis."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def add_output(self, value: str, name: str, shape: Shape) -> None:
        """Declare `value` as the float32 output `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def constant(self, array: NDArray[np.float32] | NDArray[np.int64], hint: str) -> str:
        """Store an initializer and return its name."""
        name = f"{hint}_{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def ints(self, values: Sequence[int], hint: str) -> str:
        """Store a 1-d int64 constant (shapes, axes)."""
        return self.constant(np.asarray(values, dtype=np.int64), hint)

    def scalar(self, value: float, hint: str) -> str:
        """Store a 0-d float32 constant."""
        return self.constant(np.asarray(value, dtype=np.float32), hint)

    def node(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Append one operator with one output and return the output's name."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in attributes)
        self._nodes.append(node)
        return output

    def build(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Return the checked model; raises onnx.checker.ValidationError on a broken graph."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="inyeon-models")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model
