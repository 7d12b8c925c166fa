from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_models.errors import SourceError
from inyeon_models.js_literal import Value
from inyeon_models.weights import (
    TensorSpec,
    decode_shard,
    dequantise,
    join_shards,
    shard_order,
    tensor_specs,
)

pytestmark = pytest.mark.unit


def _module(data: bytes) -> str:
    return f'x.exports="{base64.b64encode(data).decode()}"}},{{}}]}}'


def _entry(**quantisation: Value) -> Value:
    return {"name": "t", "shape": [2, 2], "dtype": "float32", "quantization": {**quantisation}}


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=12))
def test_shards_are_joined_by_number(parts: list[bytes]) -> None:
    count = len(parts)
    modules = {
        f"group1-shard{number}of{count}.min.js": _module(part)
        for number, part in reversed(list(enumerate(parts, start=1)))
    }
    assert join_shards(modules) == b"".join(parts)


def test_ten_comes_after_nine() -> None:
    assert shard_order("group1-shard9of10") < shard_order("group1-shard10of10")


@pytest.mark.parametrize(
    ("name", "module", "reason"),
    [
        ("a", 'x.exports="@@@@"', "a: invalid base64"),
        ("a", "x.exports={}", "a: exports no string"),
    ],
)
def test_a_broken_shard_is_refused_by_name(name: str, module: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        decode_shard(name, module)


def test_a_shard_without_a_number_is_refused() -> None:
    with pytest.raises(SourceError, match="not the name of a weight shard"):
        shard_order("weights.bin")


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=64),
    st.floats(1e-9, 1e3),
    st.floats(-1e3, 1e3),
)
def test_a_quantised_value_is_scale_times_q_plus_minimum(
    stored: list[int], scale: float, minimum: float
) -> None:
    spec = TensorSpec("t", (len(stored),), "uint8", scale, minimum)
    values = dequantise([spec], bytes(stored))["t"]
    exact = [value * scale + minimum for value in stored]
    assert values.dtype == np.float32
    assert values.tolist() == np.asarray(exact, dtype=np.float32).tolist()


def test_tensors_follow_each_other_in_manifest_order() -> None:
    specs = [
        TensorSpec("a", (2,), "uint8", 1.0, 0.0),
        TensorSpec("b", (1, 1), "uint16", 0.5, 1.0),
        TensorSpec("c", (1,), "float32"),
    ]
    data = bytes([3, 4]) + np.asarray([10], "<u2").tobytes() + np.asarray([2.5], "<f4").tobytes()
    tensors = dequantise(specs, data)
    assert tensors["a"].tolist() == [3.0, 4.0]
    assert tensors["b"].tolist() == [[6.0]]
    assert tensors["c"].tolist() == [2.5]


@given(st.integers(0, 20).filter(lambda length: length != 4))
def test_bytes_missing_or_left_over_are_refused(length: int) -> None:
    with pytest.raises(SourceError, match=f"{length} bytes in the shards, 4 in the manifest"):
        dequantise([TensorSpec("t", (4,), "uint8")], bytes(length))


def test_the_manifest_is_read() -> None:
    groups: Value = [{"paths": ["x"], "weights": [_entry(dtype="uint8", scale=2, min=-0.5)]}]
    assert tensor_specs(groups) == (TensorSpec("t", (2, 2), "uint8", 2.0, -0.5),)


def test_a_tensor_without_quantisation_is_float32() -> None:
    groups: Value = [{"weights": [{"name": "t", "shape": [], "dtype": "float32"}]}]
    assert tensor_specs(groups) == (TensorSpec("t", (), "float32"),)


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (None, "no tensors"),
        ([{"weights": [{"name": "t"}]}], "cannot read the tensor"),
        ([{"weights": [{"name": "t", "shape": [0], "dtype": "float32"}]}], "t: shape"),
        ([{"weights": [{"name": "t", "shape": ["a"], "dtype": "float32"}]}], "t: shape"),
        ([{"weights": [_entry(dtype="int4", scale=1.0, min=0.0)]}], "t: unknown quantisation"),
        ([{"weights": [{"name": "t", "shape": [1], "dtype": "string"}]}], "cannot read"),
    ],
)
def test_a_broken_manifest_is_refused(groups: Value, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        tensor_specs(groups)
