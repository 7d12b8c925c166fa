"""Opens model files in the two runtimes that the project uses, one thread, no spinning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from inyeon_models.errors import VerifyError

Float = NDArray[np.float32]


def onnx_session(path: Path) -> ort.InferenceSession:
    """Open an ONNX file; raises VerifyError naming a file that is absent, cut off or no model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no common public base
        raise VerifyError(f"{path.name}: onnxruntime cannot open it ({error})") from error


def run_tflite(path: Path, picture: Float) -> list[Float]:
    """Outputs of a .tflite file for one input tensor; raises VerifyError naming a broken file."""
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise VerifyError(f"{path.name}: LiteRT cannot open it ({error})") from error
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return [np.array(interpreter.get_tensor(output["index"])) for output in outputs]
