"""The verdict machine: time is the server's, harm counts by length, quiet by time that passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.adapters.policy_file import PolicyFile, read_policy
from inyeon.moderation.domain.machine import VerdictMachine
from inyeon.moderation.domain.observation import Presence, Scores, Subject, Window
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import DISMISSED, QUIET, Transition, Verdict
from inyeon.moderation.settings import DEFAULT_POLICY

pytestmark = pytest.mark.unit
MakeWindow = Callable[..., Window]
POLICY = read_policy(DEFAULT_POLICY).policy


def feed(machine: VerdictMachine, windows: list[Window], gap_s: float = 1.0) -> list[Transition]:
    """Transitions of windows that arrive `gap_s` apart."""
    start = 0.0 if machine.silent(0.0) else 1000.0
    steps = [machine.observe(w, start + n * gap_s) for n, w in enumerate(windows, start=1)]
    return [step.transition for step in steps if step.transition]


@pytest.fixture
def policy(policy_file: PolicyFile) -> Policy:
    return policy_file.policy


def test_a_new_session_has_no_verdict_and_no_pass(policy: Policy) -> None:
    machine = VerdictMachine(policy)
    assert machine.verdict is Verdict.UNKNOWN
    assert not machine.may_pass(0.0)


def test_protect_explains_itself(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    moved = feed(machine, [window(n, Drawing=0.9) for n in range(1, 4)])[-1]
    assert moved.reason == "DRAWING_SUSTAINED"
    assert moved.policy_version == policy.version
    assert moved.explanation.windows == (1, 2, 3)
    assert moved.explanation.held_s == pytest.approx(3.0)
    assert moved.explanation.text() == "rule drawing: 0.90 against 0.60, 3.0 s over 3 windows"


def test_stored_protect_survives_a_new_session(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy, Verdict.PROTECT, "PORN_SUSTAINED")
    assert (machine.verdict, machine.reason) == (Verdict.PROTECT, "PORN_SUSTAINED")
    moved = feed(machine, [window(n) for n in range(1, 8)])
    assert [(m.after, m.reason) for m in moved] == [(Verdict.CLEAR, QUIET)]


def test_stored_clear_has_to_be_earned_again(policy: Policy) -> None:
    machine = VerdictMachine(policy, Verdict.CLEAR, QUIET)
    assert (machine.verdict, machine.reason) == (Verdict.UNKNOWN, "")


def test_pass_needs_clear_presence_no_cover_and_talk(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    feed(machine, [window(1), window(2)])
    assert machine.verdict is Verdict.CLEAR
    assert machine.may_pass(2.0 + 5.0)
    assert not machine.may_pass(2.0 + 5.1)
    machine.observe(window(3, presence=Presence.AWAY), 3.0)
    assert not machine.may_pass(3.0)
    machine.observe(window(4, covered=True), 4.0)
    assert not machine.may_pass(4.0)
    machine.observe(window(5), 5.0)
    assert machine.may_pass(5.0)


def test_windows_without_scores_move_nothing(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    blind = [window(n, scored=False) for n in range(1, 20)]
    dark = [window(n, presence=Presence.NO_PICTURE, Drawing=0.9) for n in range(20, 40)]
    assert feed(machine, blind + dark) == []
    assert machine.verdict is Verdict.UNKNOWN


def test_covered_windows_with_scores_count(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    moved = feed(machine, [window(n, covered=True, Drawing=0.9) for n in range(1, 4)])
    assert moved[-1].after is Verdict.PROTECT


def test_scores_that_are_no_distribution_never_clear(policy: Policy) -> None:
    zeros = Scores("m", "1", 2, (0.0,) * 5, (0.0,) * 5)
    machine = VerdictMachine(policy)
    windows = [Window(n, Subject.MYSELF, 1.0, Presence.ALONE, zeros) for n in range(1, 30)]
    assert feed(machine, windows) == []


def test_quiet_starts_again_after_silence(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy, Verdict.PROTECT, "X")
    for n in range(1, 5):
        assert machine.observe(window(n), float(n)).transition is None
    assert machine.observe(window(5), 60.0).transition is None
    assert machine.verdict is Verdict.PROTECT


def test_presence_may_be_left_out_by_policy(policy: Policy, window: MakeWindow) -> None:
    open_room = replace(policy, clearing=replace(policy.clearing, needs_presence=False))
    machine = VerdictMachine(open_room)
    moved = feed(machine, [window(n, presence=Presence.AWAY) for n in range(1, 4)])
    assert [m.after for m in moved] == [Verdict.CLEAR]


def test_unsure_rule_escalates_once(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    steps = [machine.observe(window(n, Sexy=0.95), float(n)) for n in range(1, 30)]
    raised = [step.escalation for step in steps if step.escalation]
    assert [r.reason for r in raised] == ["SEXY_SUSTAINED"]
    assert machine.verdict is Verdict.UNSURE


def test_dismissal_leads_over_unsure_to_clear(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    feed(machine, [window(n, Drawing=0.9) for n in range(1, 4)])
    moved = machine.dismiss()
    assert (moved.before, moved.after, moved.reason) == (
        Verdict.PROTECT,
        Verdict.UNSURE,
        DISMISSED,
    )
    assert [m.after for m in feed(machine, [window(n) for n in range(4, 10)])] == [Verdict.CLEAR]


def test_agreement_of_both_devices_halves_the_dwell(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    for n in range(1, 4):
        seen = window(n, subject=Subject.PARTNER, Drawing=0.9)
        assert machine.corroborate(seen, float(n)) is None
    moved = feed(machine, [window(n, Drawing=0.9) for n in range(1, 3)])[-1]
    assert moved.explanation.held_s == pytest.approx(2.0)
    assert moved.explanation.text().endswith("seen by both devices")


def test_a_partner_alone_moves_no_verdict(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    feed(machine, [window(1), window(2)])
    for n in range(1, 200):
        machine.observe(window(n + 2), 2.0 + n)
        machine.corroborate(window(n, subject=Subject.PARTNER, Porn=0.99), 2.0 + n)
    assert machine.verdict is Verdict.CLEAR
    assert machine.partner.trust == 0.0


def test_a_partner_without_picture_says_nothing(policy: Policy, window: MakeWindow) -> None:
    machine = VerdictMachine(policy)
    partner = Subject.PARTNER
    assert machine.corroborate(window(1, subject=partner, scored=False), 1.0) is None
    dark = window(2, subject=partner, presence=Presence.NO_PICTURE, Porn=1.0)
    assert machine.corroborate(dark, 2.0) is None
    assert machine.partner.trust == 1.0


def test_partner_windows_are_not_observed(policy: Policy, window: MakeWindow) -> None:
    with pytest.raises(ValueError, match="corroborate"):
        VerdictMachine(policy).observe(window(subject=Subject.PARTNER), 0.0)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.floats(0, 1),
            st.floats(0.01, 60),
            st.floats(0, 10),
            st.sampled_from(list(Presence)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_invariants(stream: list[tuple[float, float, float, float, Presence, bool]]) -> None:
    """Whatever arrives: no verdict by one window, no pass outside CLEAR, CLEAR only from windows
    with a person."""
    machine, now_s, hot_before = VerdictMachine(POLICY), 0.0, 0
    for number, (drawing, porn, duration_s, gap_s, presence, covered) in enumerate(stream, 1):
        now_s += gap_s
        mean = (drawing, 0.0, max(0.0, 1 - drawing - porn), porn, 0.0)
        scores = Scores("m", "1", 4, mean, mean)
        seen = Window(number, Subject.MYSELF, duration_s, presence, scores, covered)
        moved = machine.observe(seen, now_s).transition
        if moved and moved.after is Verdict.PROTECT:
            assert hot_before >= 1
            assert len(moved.explanation.windows) >= 2
        if moved and moved.after is Verdict.CLEAR:
            assert presence in (Presence.ALONE, Presence.SEVERAL)
            assert moved.explanation.held_s <= now_s + 1.0
        if machine.may_pass(now_s):
            assert machine.verdict is Verdict.CLEAR
        hot_before += max(drawing, porn) >= 0.6


@given(st.floats(0.45, 0.599), st.integers(2, 40))
def test_below_the_threshold_nothing_protects(value: float, count: int) -> None:
    machine = VerdictMachine(POLICY)
    mean = (value, 0.0, 1 - value, 0.0, 0.0)
    scores = Scores("m", "1", 2, mean, mean)
    windows = [Window(n, Subject.MYSELF, 1.0, Presence.ALONE, scores) for n in range(1, count)]
    assert all(m.after is not Verdict.PROTECT for m in feed(machine, windows))
