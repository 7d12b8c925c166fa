"""Own faults: whose they are, and how the pause grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.faults import FIRST_S, FREE, LONGEST_S, at_fault, cool_down_s
from inyeon.matching.domain.matches import EndReason

pytestmark = pytest.mark.unit

ANA = frozenset({"ana"})


@pytest.mark.parametrize(
    ("reason", "lasted_s", "skip_s", "faulty"),
    [
        (EndReason.DECLINED, 1.0, 0.0, True),
        (EndReason.NOT_ACCEPTED, 100.0, 0.0, True),
        (EndReason.CONNECT_FAILED, 10.0, 0.0, True),
        (EndReason.LEFT, 1.9, 2.0, True),
        (EndReason.LEFT, 2.0, 2.0, False),
        (EndReason.LEFT, 0.0, 0.0, False),
        (EndReason.LOST, 0.0, 9.0, False),
        (EndReason.POLICY, 0.0, 9.0, False),
        (EndReason.REPORTED, 0.0, 9.0, False),
    ],
)
def test_whose_fault_an_end_was(
    reason: EndReason, lasted_s: float, skip_s: float, faulty: bool
) -> None:
    assert at_fault(reason, ANA, lasted_s, skip_s) == (ANA if faulty else frozenset())


@given(st.sampled_from(EndReason), st.floats(0, 100), st.floats(0, 100))
def test_nobody_pays_where_nobody_is_to_blame(
    reason: EndReason, lasted_s: float, skip_s: float
) -> None:
    assert at_fault(reason, frozenset(), lasted_s, skip_s) == frozenset()


def test_the_pause_doubles_from_ten_seconds_to_five_minutes() -> None:
    pauses = [cool_down_s(count) for count in range(FREE + 8)]
    assert pauses[: FREE + 1] == [0.0] * (FREE + 1)
    assert pauses[FREE + 1 : FREE + 4] == [FIRST_S, 20.0, 40.0]
    assert pauses[-1] == cool_down_s(10**9) == LONGEST_S
