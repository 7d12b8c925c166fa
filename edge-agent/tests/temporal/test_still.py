from __future__ import annotations

import pytest

from inyeon_edge.temporal.reuse import IDENTICAL_DB
from inyeon_edge.temporal.still import FrozenWatch

pytestmark = pytest.mark.unit


def test_only_identical_pictures_for_long_are_frozen() -> None:
    watch = FrozenWatch(after_s=2.0)
    assert not watch(0.0, IDENTICAL_DB)
    assert not watch(1.9, IDENTICAL_DB)
    assert watch(2.0, IDENTICAL_DB)
    assert not watch(2.1, 60.0)
    assert not watch(2.2, IDENTICAL_DB)


def test_a_clock_that_jumps_back_starts_anew() -> None:
    watch = FrozenWatch(after_s=2.0)
    watch(100.0, IDENTICAL_DB)
    assert not watch(1.0, IDENTICAL_DB)
    assert watch(3.0, IDENTICAL_DB)
