"""Matching's session encoder, for Triton's Python backend.

Runs inside tritonserver, in its folder beside session_recipe.py, with only numpy. It keeps nothing
between requests.

BEFORE (n, dims + 4) float64, TALKS (n, talks, 2) float64, PARTNERS (n, talks, dims) float32
-> STATE (n, dims + 4) float64, MODEL (n, 1) text, as session_recipe.encode says.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Before numpy is loaded: threads that spin cost more than these small products.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np
import session_recipe as recipe  # type: ignore[import-not-found]
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

NAMES = ("BEFORE", "TALKS", "PARTNERS")


class TritonPythonModel:
    """What the backend calls, one thread."""

    def execute(self, requests: list[Any]) -> list[Any]:
        return [answer(request) for request in requests]


def answer(request: Any) -> Any:
    """One response; a request that is not as the contract says fails alone."""
    tensors = [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in NAMES]
    before, talks, partners = tensors
    count, dims = before.shape[0], before.shape[1] - recipe.SUMS
    if dims < 1 or partners.shape != (count, talks.shape[1], dims):
        return refusal(f"PARTNERS is {partners.shape} where BEFORE is {before.shape}")
    if not all(np.isfinite(tensor).all() for tensor in tensors):
        return refusal("a number is not finite")
    model = np.array([[recipe.NAME]] * count, dtype=np.object_)
    state = np.ascontiguousarray(recipe.encode(before, talks, partners))
    made = [pb_utils.Tensor("STATE", state), pb_utils.Tensor("MODEL", model)]
    return pb_utils.InferenceResponse(output_tensors=made)


def refusal(reason: str) -> Any:
    """The request fails, the others of its batch do not."""
    error = pb_utils.TritonError(reason, pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(output_tensors=[], error=error)
