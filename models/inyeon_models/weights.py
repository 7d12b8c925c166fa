"""Turns TF.js weight shards (base64 in JavaScript modules) into float32 tensors.

Format: https://github.com/tensorflow/tfjs, `weightsManifest`: tensors lie one after the other in
manifest order; a quantised one stores q and means q * scale + min.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.js_literal import Value, exported_value

Tensors = Mapping[str, NDArray[np.float32]]

_SHARD_NUMBER = re.compile(r"shard(\d+)of(\d+)")
_STORED = {"uint8": np.uint8, "uint16": np.uint16, "float32": np.float32}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor of the manifest: value = stored * scale + minimum, in Keras axis order."""

    name: str
    shape: tuple[int, ...]
    stored: str
    scale: float = 1.0
    minimum: float = 0.0

    @property
    def count(self) -> int:
        """How many values it holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size_bytes(self) -> int:
        """How many bytes of the shards it takes."""
        return self.count * np.dtype(_STORED[self.stored]).itemsize


def shard_order(name: str) -> int:
    """The number of a shard (`group1-shard10of12` -> 10); raises SourceError without one."""
    found = _SHARD_NUMBER.search(name)
    if found is None:
        raise SourceError(f"{name}: not the name of a weight shard")
    return int(found.group(1))


def decode_shard(name: str, module: str) -> bytes:
    """Bytes of one shard module; raises SourceError where it exports no valid base64 string."""
    value = exported_value(module)
    if not isinstance(value, str):
        raise SourceError(f"{name}: exports no string")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise SourceError(f"{name}: invalid base64 ({error})") from error


def join_shards(modules: Mapping[str, str]) -> bytes:
    """Decode all shards and join them by number, not by text order (10 comes after 9)."""
    return b"".join(decode_shard(name, modules[name]) for name in sorted(modules, key=shard_order))


def tensor_specs(manifest: Value) -> tuple[TensorSpec, ...]:
    """Read `weightsManifest`; raises SourceError naming the tensor that cannot be read."""
    groups = manifest if isinstance(manifest, list) else []
    entries = [entry for group in groups for entry in _list(group, "weights")]
    if not entries:
        raise SourceError("weightsManifest: no tensors")
    return tuple(_spec(entry) for entry in entries)


def dequantise(specs: Iterable[TensorSpec], data: bytes) -> dict[str, NDArray[np.float32]]:
    """Cut `data` along `specs`; raises SourceError unless the lengths agree exactly."""
    specs = tuple(specs)
    needed = sum(spec.size_bytes for spec in specs)
    if needed != len(data):
        raise SourceError(f"weights: {len(data)} bytes in the shards, {needed} in the manifest")
    tensors: dict[str, NDArray[np.float32]] = {}
    offset = 0
    for spec in specs:
        stored = np.frombuffer(data, dtype=_STORED[spec.stored], count=spec.count, offset=offset)
        # float64 on the way, as JavaScript computes it, then one rounding to float32
        value = stored.astype(np.float64) * spec.scale + spec.minimum
        tensors[spec.name] = value.astype(np.float32).reshape(spec.shape)
        offset += spec.size_bytes
    return tensors


def _spec(entry: Value) -> TensorSpec:
    match entry:
        case {"name": str(name), "shape": list(shape), "dtype": "float32"}:
            dims = tuple(dim for dim in shape if isinstance(dim, int))
            if len(dims) != len(shape) or any(dim < 1 for dim in dims):
                raise SourceError(f"{name}: shape {shape} is not a list of positive integers")
            return _quantised(name, dims, _get(entry, "quantization"))
    raise SourceError(f"weightsManifest: cannot read the tensor {str(entry)[:80]}")


def _quantised(name: str, shape: tuple[int, ...], how: Value) -> TensorSpec:
    match how:
        case None:
            return TensorSpec(name, shape, "float32")
        case {
            "dtype": ("uint8" | "uint16") as stored,
            "scale": int() | float() as scale,
            "min": int() | float() as minimum,
        }:
            return TensorSpec(name, shape, str(stored), float(scale), float(minimum))
    raise SourceError(f"{name}: unknown quantisation {how}")


def _get(value: Value, key: str) -> Value:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: Value, key: str) -> list[Value]:
    found = _get(value, key)
    return found if isinstance(found, list) else []
