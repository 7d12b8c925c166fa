"""Compiled functions where no folder can keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import pytest

from inyeon.matching.domain import compiling

pytestmark = pytest.mark.unit


def test_without_a_folder_for_its_cache_a_process_compiles_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = numba.njit

    def no_folder(**options: Any) -> Callable[..., Any]:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)  # type: ignore[no-any-return] # numba publishes no types

    monkeypatch.setattr(compiling, "njit", no_folder)

    @compiling.compiled
    def doubled(number: int) -> int:
        return 2 * number

    @compiling.any_order
    def tripled(number: int) -> int:
        return 3 * number

    assert doubled(4) == 8 and tripled(4) == 12
