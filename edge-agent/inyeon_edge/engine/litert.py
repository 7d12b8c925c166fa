"""LiteRT runs the `.tflite` files as they are, custom op Convolution2DTransposeBias included."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inyeon_edge.engine.session import Array, TensorSpec, check_inputs
from inyeon_edge.errors import ModelCorrupt


class LiteRtSession:
    """RuntimeSession over one `.tflite` file. Raises ModelCorrupt where LiteRT cannot read it."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._lock = threading.Lock()  # guards the interpreter, whose tensors are one shared memory
        self._interpreter = _open(path, threads)
        self._in = self._interpreter.get_input_details()
        self._out = self._interpreter.get_output_details()
        self._inputs = [_spec(detail) for detail in self._in]
        self._outputs = [_spec(detail) for detail in self._out]

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        check_inputs(self._inputs, inputs)
        with self._lock:
            for detail in self._in:
                self._interpreter.set_tensor(detail["index"], inputs[detail["name"]])
            self._interpreter.invoke()
            return {
                detail["name"]: np.array(self._interpreter.get_tensor(detail["index"]), np.float32)
                for detail in self._out
            }


def _open(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # 30 MB: only where a model is used

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelCorrupt(f"LiteRT cannot read {path.name}: {error}", field=path.name) from error
    return interpreter


def _spec(detail: dict[str, Any]) -> TensorSpec:
    return TensorSpec(str(detail["name"]), tuple(int(side) for side in detail["shape"]))
