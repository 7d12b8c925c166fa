"""One rule's bucket: what is held, what leaks, when it fires."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.domain.evidence import Evidence
from inyeon.moderation.domain.observation import Scores
from inyeon.moderation.domain.policy import KOfN, Rule
from inyeon.moderation.domain.verdict import Verdict

pytestmark = pytest.mark.unit
DWELL = Rule("r", "R", (3,), 0.7, Verdict.PROTECT, dwell_s=3.0, unsure_from=0.4, unsure_dwell_s=2.0)
COUNT = Rule("k", "K", (1, 3), 0.8, Verdict.PROTECT, k_of_n=KOfN(2, 3), unsure_from=0.5)


def add(evidence: Evidence, *values: float, credit_s: float = 1.0, frames: int = 2) -> list[bool]:
    return [
        evidence.add(
            n, Scores("m", "1", frames, (0, 0, 1 - v, v, 0), (0, 0, 1 - v, v, 0)), credit_s
        )
        for n, v in enumerate(values, start=1)
    ]


def test_everyday_windows_leave_nothing() -> None:
    evidence = Evidence(DWELL)
    assert add(evidence, *[0.1] * 9) == [True] * 9
    assert (evidence.hot_s, evidence.windows, list(evidence.window_ids)) == (0.0, 0, [])


def test_holds_and_leaks() -> None:
    evidence = Evidence(DWELL)
    assert add(evidence, 0.8, 0.8, 0.1) == [False, False, True]
    assert evidence.hot_s == 1.0
    assert evidence.windows == 2
    add(evidence, 0.1)
    assert (evidence.hot_s, evidence.windows, evidence.frames) == (0.0, 0, 0)


def test_needs_windows_and_frames() -> None:
    evidence = Evidence(DWELL)
    add(evidence, 0.9, credit_s=60.0)
    assert not evidence.fires(agreed=True)
    few = Evidence(Rule("f", "F", (3,), 0.7, Verdict.PROTECT, dwell_s=1.0, frames_at_least=9))
    add(few, 0.9, 0.9, 0.9, 0.9, frames=2)
    assert not few.fires(agreed=False)
    add(few, 0.9, frames=2)
    assert few.fires(agreed=False)


def test_agreement_shortens_only_the_dwell() -> None:
    half = Evidence(Rule("h", "H", (3,), 0.7, Verdict.PROTECT, dwell_s=4.0, agreement=0.5))
    add(half, 0.9, 0.9)
    assert not half.fires(agreed=False)
    assert half.fires(agreed=True)


def test_k_of_n_forgets_what_left_the_row() -> None:
    evidence = Evidence(COUNT)
    add(evidence, 0.9, 0.1, 0.1, 0.9)
    assert not evidence.fires(agreed=False)
    add(evidence, 0.1, 0.9)
    assert evidence.fires(agreed=False)
    add(evidence, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert (evidence.windows, len(evidence.hits)) == (0, 0)


def test_doubt_needs_two_windows() -> None:
    evidence = Evidence(DWELL)
    add(evidence, 0.5, credit_s=5.0)
    assert not evidence.doubts()
    add(evidence, 0.5)
    assert evidence.doubts()
    assert not Evidence(COUNT).doubts()


def test_doubt_leaks() -> None:
    evidence = Evidence(DWELL)
    add(evidence, 0.5, 0.5, 0.1, 0.1)
    assert (evidence.band_s, evidence.band_windows) == (0.0, 0)


def test_forgets_everything() -> None:
    evidence = Evidence(COUNT)
    add(evidence, 0.9, 0.9)
    evidence.forget()
    assert not evidence.fires(agreed=True)
    assert (evidence.hot_s, evidence.band_s, len(evidence.hits)) == (0.0, 0.0, 0)


@given(st.lists(st.floats(0, 1), max_size=80), st.floats(0.01, 2))
def test_never_negative_and_bounded_by_time(values: list[float], credit_s: float) -> None:
    evidence = Evidence(DWELL)
    add(evidence, *values, credit_s=credit_s)
    assert 0.0 <= evidence.hot_s <= evidence.band_s + 1e-9 <= len(values) * credit_s + 1e-6
    assert len(evidence.window_ids) <= 16
