"""onnxruntime runs the ONNX files, on one or two threads that sleep while they wait."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inyeon_edge.engine.session import Array, TensorSpec, check_inputs
from inyeon_edge.errors import ModelCorrupt

QUIET = 3  # ORT's severity "error": its warnings about unused initialisers help nobody here


class OnnxSession:
    """RuntimeSession over one `.onnx` file; raises ModelCorrupt where it cannot be read."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._lock = (
            threading.Lock()
        )  # one inference at a time, so that one thread means one thread
        self._session = _open(path, threads)
        self._inputs = [_spec(node) for node in self._session.get_inputs()]
        self._outputs = [_spec(node) for node in self._session.get_outputs()]
        self._names = [spec.name for spec in self._outputs]

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        check_inputs(self._inputs, inputs)
        with self._lock:
            values = self._session.run(self._names, dict(inputs))
        return {n: np.asarray(v, np.float32) for n, v in zip(self._names, values, strict=True)}


def _open(path: Path, threads: int) -> Any:
    import onnxruntime  # 40 MB: only where a model is used

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning burns a whole core between frames: 96 % of one core against 18 % .
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = (
        False  # the arena never gives memory back; three agents share 2 GB
    )
    options.log_severity_level = QUIET
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no base below Exception
        raise ModelCorrupt(
            f"onnxruntime cannot read {path.name}: {error}", field=path.name
        ) from error


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(str(node.name), tuple(s if isinstance(s, int) else -1 for s in node.shape))
