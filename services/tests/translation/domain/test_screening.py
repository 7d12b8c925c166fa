"""The policy over made-up scores: actions, languages, both sides of a translation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.translation.domain.screening import (
    ARTEFACT,
    Action,
    Decision,
    Judgement,
    Miss,
    Policy,
    Rule,
    Screen,
    Seen,
    decide,
)

pytestmark = pytest.mark.unit

HATE = Rule("TEXT_HATE", ("hate",), mask=0.4, withhold=0.9, escalate=0.6)
INSULT = Rule("TEXT_INSULT", ("hate", "offensive"), mask=0.8)
POLICY = Policy("1", "m", "7", (HATE, INSULT), {"ko": (replace(INSULT, mask=0.5),)})

ALLOWED = Judgement(seen=Seen({}, "en", "m", "7"))
MASKED = replace(ALLOWED, action=Action.MASK, reason="TEXT_INSULT")
WITHHELD = replace(ALLOWED, action=Action.WITHHOLD, reason="TEXT_HATE", escalation="TEXT_HATE")
SILENT = replace(ALLOWED, escalation="TEXT_HATE")
SIDES = (ALLOWED, MASKED, WITHHELD, SILENT, *(Judgement(miss=miss) for miss in Miss))


def seen(hate: float, offensive: float, language: str = "en") -> Seen:
    scores = {"hate": hate, "offensive": offensive, "neither": 1 - hate - offensive}
    return Seen(scores, language, "m", "7")


@pytest.mark.parametrize(
    ("hate", "offensive", "language", "action", "reason", "escalation"),
    [
        (0.1, 0.1, "en", Action.ALLOW, "TEXT_HATE", ""),
        (0.4, 0.0, "en", Action.MASK, "TEXT_HATE", ""),
        (0.15, 0.7, "en", Action.MASK, "TEXT_INSULT", ""),
        (0.6, 0.3, "en", Action.MASK, "TEXT_HATE", "TEXT_HATE"),
        (0.9, 0.1, "en", Action.WITHHOLD, "TEXT_HATE", "TEXT_HATE"),
        (0.9, 0.1, "ko", Action.MASK, "TEXT_INSULT", ""),
        (0.1, 0.4, "ko", Action.MASK, "TEXT_INSULT", ""),
        (0.1, 0.4, "", Action.ALLOW, "TEXT_HATE", ""),
    ],
)
def test_the_strictest_rule_counts(
    hate: float, offensive: float, language: str, action: Action, reason: str, escalation: str
) -> None:
    judged = POLICY.judge(seen(hate, offensive, language))
    assert (judged.action, judged.reason, judged.escalation) == (action, reason, escalation)
    assert judged.seen is not None and judged.miss is None


def test_a_reason_to_escalate_is_that_of_its_own_rule() -> None:
    """Masked as an insult, told as hate: each by the rule that asks for it."""
    policy = replace(POLICY, rules=(replace(HATE, mask=None, withhold=None), INSULT))
    judged = policy.judge(seen(0.7, 0.2))
    assert (judged.action, judged.reason) == (Action.MASK, "TEXT_INSULT")
    assert judged.escalation == "TEXT_HATE"


@pytest.mark.parametrize(
    ("before", "after", "decision"),
    [
        (ALLOWED, None, Decision(Screen.CLEAR)),
        (ALLOWED, ALLOWED, Decision(Screen.CLEAR)),
        (MASKED, ALLOWED, Decision(Screen.SENSITIVE, "TEXT_INSULT", later=True)),
        (
            WITHHELD,
            None,
            Decision(Screen.WITHHELD, "TEXT_HATE", flagged=WITHHELD, later=True),
        ),
        (ALLOWED, MASKED, Decision(Screen.CLEAR, ARTEFACT, artefact=True, later=True)),
        (
            SILENT,
            WITHHELD,
            Decision(Screen.CLEAR, ARTEFACT, artefact=True, flagged=SILENT, later=True),
        ),
        (
            ALLOWED,
            Judgement(miss=Miss.LATE),
            Decision(Screen.UNSCREENED, "LATE", later=True),
        ),
        (ALLOWED, Judgement(miss=Miss.LANGUAGE_UNKNOWN), Decision(Screen.CLEAR)),
        (
            Judgement(miss=Miss.LANGUAGE_UNKNOWN),
            WITHHELD,
            Decision(Screen.WITHHELD, "TEXT_HATE", flagged=WITHHELD, translated=True, later=True),
        ),
        (
            Judgement(miss=Miss.LANGUAGE_UNKNOWN),
            None,
            Decision(Screen.UNSCREENED, "LANGUAGE_UNKNOWN"),
        ),
        (
            Judgement(miss=Miss.FAILED),
            Judgement(miss=Miss.FAILED),
            Decision(Screen.UNSCREENED, "FAILED", later=True),
        ),
        (Judgement(miss=Miss.OFF), Judgement(miss=Miss.OFF), Decision(Screen.OFF)),
        (
            Judgement(miss=Miss.ABSENT),
            Judgement(miss=Miss.ABSENT),
            Decision(Screen.UNSCREENED, "ABSENT"),
        ),
    ],
)
def test_both_sides_together(
    before: Judgement, after: Judgement | None, decision: Decision
) -> None:
    found = decide(before, after, Action.ALLOW)
    expected = replace(decision, translated=found.translated and found.flagged is None)
    assert found == (decision if found.flagged is not None else expected)


def test_an_operator_may_fold_what_nobody_looked_at() -> None:
    found = decide(Judgement(miss=Miss.TEXT_TOO_LONG), None, Action.MASK)
    assert found == Decision(Screen.SENSITIVE, "TEXT_TOO_LONG", later=True)


@given(st.sampled_from(SIDES), st.sampled_from((None, *SIDES)), st.sampled_from(Action))
def test_nothing_passes_silently(
    before: Judgement, after: Judgement | None, unscreened: Action
) -> None:
    """CLEAR only where somebody looked at the original, or at its translation instead; what the
    policy hides on the original side stays hidden; only a flagged side is ever told of."""
    found = decide(before, after, unscreened)
    if found.screen is Screen.CLEAR:
        assert before.miss is None or (after is not None and after.miss is None)
    if before.miss is None and before.action is not Action.ALLOW:
        assert found.screen in (Screen.SENSITIVE, Screen.WITHHELD) and not found.artefact
    assert (found.screen is Screen.OFF) == (before.miss is Miss.OFF)
    if found.flagged is not None:
        assert found.flagged.escalation and found.flagged is (after if found.translated else before)
    if found.screen in (Screen.SENSITIVE, Screen.WITHHELD):
        assert found.reason and found.later


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_harm_is_never_judged_milder(one: float, other: float, share: float) -> None:
    low, high = sorted((one, other))
    milder = POLICY.judge(seen(low * share, low * (1 - share)))
    stricter = POLICY.judge(seen(high * share, high * (1 - share)))
    assert milder.action.value <= stricter.action.value
