"""Snapshots: JSON without loss, and who wins when a session opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.adapters.policy_file import PolicyFile, read_policy
from inyeon.moderation.domain.machine import VerdictMachine
from inyeon.moderation.domain.observation import Presence, Scores, Subject, Window
from inyeon.moderation.domain.snapshot import restore, resume, take
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.settings import DEFAULT_POLICY

pytestmark = pytest.mark.unit
POLICY = read_policy(DEFAULT_POLICY).policy


def window_of(number: int, drawing: float, porn: float) -> Window:
    mean = (drawing, 0.0, max(0.0, 1 - drawing - porn), porn, 0.0)
    return Window(number, Subject.MYSELF, 1.0, Presence.ALONE, Scores("m", "1", 2, mean, mean))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30),
)
def test_a_restored_machine_decides_as_the_old_one(
    before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> None:
    """Harm is held across a restart to the window; quiet may at most be credited one second
    differently, so feed harm and quiet alike and compare verdict and buckets."""
    old = VerdictMachine(POLICY)
    for n, (drawing, porn) in enumerate(before):
        old.observe(window_of(n, drawing, porn), float(n))
    new = restore(POLICY, json.loads(json.dumps(take(old))))
    assert take(new) == take(old)
    for n, (drawing, porn) in enumerate(after, start=len(before)):
        old.observe(window_of(n, drawing, porn), float(n))
        new.observe(window_of(n, drawing, porn), float(n))
    assert take(new)["evidence"] == take(old)["evidence"] or new.verdict is not old.verdict
    if Verdict.PROTECT in (old.verdict, new.verdict):
        assert old.verdict is new.verdict


def test_another_policy_keeps_the_verdict_and_drops_the_buckets(policy_file: PolicyFile) -> None:
    machine = VerdictMachine(policy_file.policy)
    for n in range(4):
        machine.observe(window_of(n, 0.9, 0.0), float(n))
    other = replace(policy_file.policy, version="other-1")
    again = restore(other, take(machine))
    assert again.verdict is Verdict.PROTECT
    assert not any(evidence.windows for evidence in again.evidence)


@pytest.mark.parametrize(
    ("saved", "stored", "verdict"),
    [
        (None, Verdict.UNKNOWN, Verdict.UNKNOWN),
        (None, Verdict.CLEAR, Verdict.UNKNOWN),
        (None, Verdict.PROTECT, Verdict.PROTECT),
        (Verdict.CLEAR, Verdict.CLEAR, Verdict.CLEAR),
        (Verdict.PROTECT, Verdict.CLEAR, Verdict.UNKNOWN),
        (Verdict.PROTECT, Verdict.UNSURE, Verdict.UNSURE),
        (Verdict.CLEAR, Verdict.PROTECT, Verdict.PROTECT),
    ],
)
def test_the_stored_verdict_wins(
    saved: Verdict | None, stored: Verdict, verdict: Verdict, policy_file: PolicyFile
) -> None:
    before = None
    if saved is not None:
        machine = VerdictMachine(policy_file.policy)
        machine.verdict = saved
        before = take(machine)
    assert resume(policy_file.policy, before, stored, "R").verdict is verdict


def test_windows_of_the_fixture_are_what_they_say(window: Callable[..., Window]) -> None:
    scores = window(Drawing=0.25).scores
    assert scores is not None
    assert scores.mean == (0.25, 0.0, 0.75, 0.0, 0.0)
    assert scores.plausible()
