"""One image filter on onnxruntime, for Triton's Python backend (where there is no ONNX backend).

Runs inside tritonserver, alone in its folder beside model.onnx. Pictures (n, side, side, 3) float32
in [0, 1] -> probabilities (n, classes). The requests of one batch run as one.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]


class TritonPythonModel:
    """What the backend calls, one thread."""

    def initialize(self, args: dict[str, str]) -> None:
        folder = os.path.join(args["model_repository"], args["model_version"])
        options = ort.SessionOptions()
        parameters = json.loads(args["model_config"])["parameters"]
        threads = parameters["intra_op_thread_count"]["string_value"]
        options.intra_op_num_threads = int(threads)
        options.inter_op_num_threads = 1
        # idle threads that spin cost six times the work itself
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.path.join(folder, "model.onnx")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        pictures = [pb_utils.get_input_tensor_by_name(r, "pictures").as_numpy() for r in requests]
        feed = {"pictures": np.concatenate(pictures)}
        probabilities = self.session.run(["probabilities"], feed)[0]
        ends = np.cumsum([len(some) for some in pictures])[:-1]
        return [answer(rows) for rows in np.split(probabilities, ends)]


def answer(rows: Any) -> Any:
    """One response of (n, classes)."""
    tensor = pb_utils.Tensor("probabilities", np.ascontiguousarray(rows))
    return pb_utils.InferenceResponse(output_tensors=[tensor])
