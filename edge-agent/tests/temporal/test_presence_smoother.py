from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_edge.temporal.presence import PresenceSmoother

pytestmark = pytest.mark.unit


def seen(smoother: PresenceSmoother, people: list[int], start_s: float = 0.0) -> list[int | None]:
    return [smoother(start_s + 0.1 * number, count) for number, count in enumerate(people)]


def test_nothing_is_said_before_three_looks() -> None:
    assert seen(PresenceSmoother(), [1, 1, 1]) == [None, None, 1]


def test_one_missed_face_is_no_departure_and_one_false_face_no_arrival() -> None:
    assert set(seen(PresenceSmoother(), [1] * 10 + [0] + [1] * 10)[3:]) == {1}
    assert set(seen(PresenceSmoother(), [0] * 10 + [1] + [0] * 10)[3:]) == {0}


def test_arrival_and_departure_are_told_within_a_second() -> None:
    smoother = PresenceSmoother()
    seen(smoother, [0] * 12)
    arrived = seen(smoother, [1] * 11, 1.2)
    assert arrived[-1] == 1
    gone = seen(smoother, [0] * 11, 2.3)
    assert gone[0] == 1 and gone[-1] == 0


def test_several_need_a_majority_too() -> None:
    smoother = PresenceSmoother()
    assert seen(smoother, [1] * 10 + [2])[-1] == 1
    assert seen(smoother, [2] * 10, 1.1)[-1] == 2


def test_forgetting_goes_back_to_not_known() -> None:
    smoother = PresenceSmoother()
    seen(smoother, [1] * 5)
    smoother.forget()
    assert smoother.people is None


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.integers(0, 9)), max_size=50))
def test_any_looks_give_a_known_number(looks: list[tuple[float, int]]) -> None:
    smoother = PresenceSmoother()
    for at_s, people in looks:
        assert smoother(at_s, people) in (None, 0, 1, 2)
