from __future__ import annotations

import io
import json

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.text_encoder import (
    BLOCK_ROWS,
    BLOCKS,
    BRANCHES,
    DIMS,
    EncoderParts,
    read_parts,
    scale_json,
    to_onnx,
)

pytestmark = pytest.mark.unit

Float = NDArray[np.float32]


def _weights() -> dict[str, Float]:
    random = np.random.default_rng(5)

    def some(*shape: int) -> Float:
        return np.asarray(random.normal(size=shape) / np.sqrt(shape[0]), dtype=np.float32)

    weights: dict[str, Float] = {}
    for order, _ in BRANCHES:
        weights |= {f"proj{order}": some(512, 256), f"proj_b{order}": some(256)}
        weights |= {f"ln_g{order}": some(256), f"ln_b{order}": some(256)}
        for step in (1, 2):
            weights |= {f"w{step}_{order}": some(order * 256, 256), f"b{step}_{order}": some(256)}
    weights |= {"ln_g": some(1280), "ln_b": some(1280), "cnn_W": some(1280, 512)}
    weights |= {"cnn_b": some(512), "d0": some(512, 320), "d1": some(320, 320)}
    weights |= {"p1": some(512, 320), "d2": some(320, 512), "p3": some(320, 512)}
    return weights | {"d3": some(512, 512)}


def _parts() -> EncoderParts:
    scale = np.linspace(0.01, 0.02, BLOCKS, dtype=np.float32)
    table = np.zeros((1, DIMS), dtype=np.uint8)
    return EncoderParts(table, scale, -scale, _weights(), 1e-6)


def _norm(x: NDArray[np.float64], g: Float, b: Float) -> NDArray[np.float64]:
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-6) * g + b)


def _plain(rows: Float) -> NDArray[np.float64]:
    """The architecture once more, token by token and window by window."""
    w = _weights()
    tokens = rows.astype(np.float64)
    projected = [tokens @ w[f"proj{n}"] + w[f"proj_b{n}"] for n, _ in BRANCHES]
    gains = np.concatenate([w[f"ln_g{n}"] for n, _ in BRANCHES])
    shifts = np.concatenate([w[f"ln_b{n}"] for n, _ in BRANCHES])
    normed = np.split(_norm(np.concatenate(projected, axis=1), gains, shifts), 3, axis=1)
    parts = [tokens]
    for branch, (order, left) in zip(normed, BRANCHES, strict=True):
        value = branch
        for step in (1, 2):
            padded = np.pad(value, ((left, order - 1 - left), (0, 0)))
            windows = [padded[place : place + order].ravel() for place in range(len(value))]
            hidden = np.stack(windows) @ w[f"w{step}_{order}"] + w[f"b{step}_{order}"]
            value = np.maximum(hidden, 0) + value
        parts.append(value)
    features = _norm(np.concatenate(parts, axis=1), w["ln_g"], w["ln_b"])
    sentence = (features @ w["cnn_W"] + w["cnn_b"]).sum(axis=0) / np.sqrt(len(rows))
    first = np.maximum(sentence @ w["d0"], 0)
    second = np.maximum(sentence @ w["p1"] + first @ w["d1"], 0)
    third = np.maximum(second @ w["d2"], 0)
    final = np.tanh(second @ w["p3"] + third @ w["d3"])
    return np.asarray(final / np.linalg.norm(final))


@pytest.mark.parametrize("tokens", [1, 2, 3, 5, 40])
def test_the_graph_agrees_with_plain_numpy(tokens: int) -> None:
    model = to_onnx(_parts(), {"name": "t"})
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(tokens).normal(size=(1, tokens, DIMS)).astype(np.float32)
    found = np.asarray(session.run(["embedding"], {"rows": rows})[0])
    assert found.shape == (1, DIMS)
    np.testing.assert_allclose(found[0], _plain(rows[0]), atol=2e-6)


def _weight_file(**changes: NDArray[np.generic]) -> bytes:
    arrays: dict[str, NDArray[np.generic]] = {
        f"q{block + 1}": np.full((BLOCK_ROWS, DIMS), block, dtype=np.uint8)
        for block in range(BLOCKS)
    }
    arrays |= {"scale": np.ones(BLOCKS, np.float32), "lo": np.zeros(BLOCKS, np.float32)}
    arrays |= {"eps": np.asarray(1e-6)} | changes
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def test_blocks_are_interleaved_by_token_id() -> None:
    parts = read_parts(_weight_file())
    assert parts.table.shape == (BLOCKS * BLOCK_ROWS, DIMS)
    assert [int(parts.table[token, 0]) for token in range(20)] == [t % 17 for t in range(20)]
    assert parts.epsilon == pytest.approx(1e-6)


def test_a_misshapen_array_is_named() -> None:
    with pytest.raises(SourceError, match=r"scale is \(3,\), not \(17,\)"):
        read_parts(_weight_file(scale=np.ones(3, np.float32)))


def test_the_scale_file_states_the_rule() -> None:
    document = json.loads(scale_json(_parts()))
    assert document["blocks"] == BLOCKS
    assert len(document["scale"]) == len(document["low"]) == BLOCKS
    assert "id % blocks" in document["rule"]
