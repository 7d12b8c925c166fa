"""The seam to whatever runs a model: one Protocol, and the check that every adapter does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inyeon_edge.errors import ShapeError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TensorSpec:
    """Name and shape of an input or output; a free dimension is -1. All tensors are float32."""

    name: str
    shape: tuple[int, ...]


class RuntimeSession(Protocol):
    """A loaded model. Calls from several threads are allowed and run one after the other."""

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """In the file's order."""
        ...

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        """In the file's order."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Every output by name, float32 arrays that belong to the caller.

        Blocks for the whole inference. Raises ShapeError where an input is absent, unknown, of
        another shape or dtype. A normal return does not promise finite numbers: the reader checks.
        """
        ...


def check_inputs(specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Raises ShapeError naming the first input that does not fit."""
    unknown = set(inputs) - {spec.name for spec in specs}
    if unknown:
        raise ShapeError(f"the model has no input {sorted(unknown)}", field=min(unknown))
    for spec in specs:
        _check_one(spec, inputs)


def _check_one(spec: TensorSpec, inputs: Mapping[str, Array]) -> None:
    if spec.name not in inputs:
        raise ShapeError(f"input {spec.name} is absent", field=spec.name)
    array = inputs[spec.name]
    if array.dtype != np.float32:
        raise ShapeError(f"input {spec.name} must be float32, not {array.dtype}", field=spec.name)
    fits = len(array.shape) == len(spec.shape) and all(
        want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"input {spec.name} must have shape {spec.shape}, not {array.shape}", field=spec.name
        )
