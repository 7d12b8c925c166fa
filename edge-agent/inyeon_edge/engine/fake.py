"""The seam's twin: a session whose outputs a function computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from inyeon_edge.engine.session import Array, TensorSpec, check_inputs

Rule = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class FakeSession:
    """RuntimeSession for tests: checks inputs as the real ones do, then asks `rule`."""

    def __init__(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], rule: Rule
    ) -> None:
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._rule = rule
        self.calls = 0

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        check_inputs(self._inputs, inputs)
        self.calls += 1
        answer = self._rule(inputs)
        return {spec.name: np.array(answer[spec.name], np.float32) for spec in self._outputs}
