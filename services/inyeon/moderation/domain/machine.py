"""The verdict of one observation session, moved by windows over time.

Time is the server's: a window is credited with its own length, at most `longest_credit_s`, and what
speaks *for* a person is also bounded by the monotonic time that really passed, so that a burst of
quiet windows buys nothing. What speaks *against* a picture counts by length alone: a device that
catches up after an outage accuses only itself. The device's clock is never asked, so it may be
skewed or jump.

    UNKNOWN --first quiet--> CLEAR <--quiet, seen, held-- UNSURE, PROTECT
    any but PROTECT --band held, UNSURE rule--> UNSURE (and an escalation)
    any --PROTECT rule--> PROTECT

A second opinion counts only for the escalation that stands: any change of the verdict closes it.

    any but PROTECT --opinion PROTECT--> PROTECT
    UNSURE --opinion CLEAR--> CLEAR, at once where it is quiet, else after `first_clear_s` of quiet
"""

from __future__ import annotations

from inyeon.moderation.domain.evidence import Evidence
from inyeon.moderation.domain.observation import PRESENT, Presence, Scores, Subject, Window
from inyeon.moderation.domain.opinions import Opinion
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.trust import PartnerView
from inyeon.moderation.domain.verdict import (
    DISMISSED,
    NOTHING,
    QUIET,
    Escalation,
    Explanation,
    Step,
    Transition,
    Verdict,
)


class VerdictMachine:
    """State of one session. Starts in the user's stored verdict, so that logging in again undoes no
    PROTECT."""

    __slots__ = (
        "_budget_s",
        "_last_s",
        "_window_id",
        "covered",
        "escalation",
        "evidence",
        "partner",
        "policy",
        "presence",
        "quiet_s",
        "quiet_windows",
        "reason",
        "verdict",
        "vouched",
    )

    def __init__(self, policy: Policy, stored: Verdict = Verdict.UNKNOWN, reason: str = "") -> None:
        self.policy = policy
        self.verdict: Verdict = Verdict.UNKNOWN if stored is Verdict.CLEAR else stored
        self.reason = reason if self.verdict is stored else ""
        self.evidence = tuple(Evidence(rule) for rule in policy.rules)
        self.partner = PartnerView(policy)
        self.quiet_s = 0.0
        self.quiet_windows = 0
        self.presence = Presence.UNKNOWN
        self.covered = False
        self.escalation = ""
        """Id of the escalation that waits for a second opinion; empty: none."""
        self.vouched = False
        """A second opinion said CLEAR: the way back from UNSURE is short."""
        self._last_s: float | None = None
        self._window_id = 0
        self._budget_s = 0.0

    def observe(self, window: Window, now_s: float) -> Step:
        """Takes a window in; `now_s` is the server's monotonic time of its arrival."""
        if window.subject is Subject.PARTNER:
            raise ValueError("a window about the partner moves the partner's machine: corroborate")
        earned_s = self._arrive(window, now_s)
        self._window_id = window.window_id
        self.presence, self.covered = window.presence, window.covered
        if window.scores is None or window.presence is Presence.NO_PICTURE:
            return NOTHING
        credit_s = min(window.duration_s, self.policy.clearing.longest_credit_s)
        quiet = self._weigh(window.window_id, window.scores, credit_s)
        self._count_quiet(window, earned_s, quiet=quiet)
        return self._decide(window.window_id)

    def corroborate(self, window: Window, now_s: float) -> Escalation | None:
        """Takes in what the partner's device saw of this person. Moves no verdict."""
        if window.scores is None or window.presence is Presence.NO_PICTURE:
            return None
        credit_s = min(window.duration_s, self.policy.clearing.longest_credit_s)
        own_hot = self.verdict is Verdict.PROTECT or (
            not self.silent(now_s) and any(e.value >= e.rule.unsure_from for e in self.evidence)
        )
        return self.partner.add(window.window_id, window.scores, credit_s, own_hot=own_hot)

    def silent(self, now_s: float) -> bool:
        """No own window for `silence_s`."""
        return self._last_s is None or now_s - self._last_s > self.policy.clearing.silence_s

    def may_pass(self, now_s: float) -> bool:
        """A safety pass may be signed: CLEAR, somebody is there, nothing covered, and the device
        still talks."""
        fit = self.verdict is Verdict.CLEAR and self.presence in PRESENT and not self.covered
        return fit and not self.silent(now_s)

    def escalated(self, escalation_id: str) -> None:
        """An escalation was raised; from now on only opinions about this one count."""
        self.escalation, self.vouched = escalation_id, False

    def opinion(self, given: Opinion, now_s: float) -> Transition | None:
        """Takes a second opinion in; None where it changes nothing: one about an escalation that
        the verdict has left behind, UNSURE, or no answer at all."""
        judged = given.judged
        if not self.escalation or given.escalation_id != self.escalation or judged.degraded:
            return None
        if judged.verdict is Verdict.PROTECT and self.verdict is not Verdict.PROTECT:
            rule = f"second opinion ({given.source.value})"
            why = Explanation(rule, judged.confidence, 0.0, 0.0, (), models=judged.models)
            return self._move(Verdict.PROTECT, judged.reason, why)
        if judged.verdict is Verdict.CLEAR and self.verdict is Verdict.UNSURE:
            self.vouched = True
            return self._clear_now(now_s)
        return None

    def dismiss(self) -> Transition:
        """A reviewer said that the protection was wrong: UNSURE, from where quiet leads to CLEAR as
        always."""
        return self._move(Verdict.UNSURE, DISMISSED, Explanation("reviewer", 0.0, 0.0, 0.0, ()))

    def _arrive(self, window: Window, now_s: float) -> float:
        """Seconds that this window may earn towards CLEAR: its length, within the time that really
        passed."""
        clearing = self.policy.clearing
        since_s = 1.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        # A restored machine knows of no silence: what its snapshot holds goes on.
        if self._last_s is not None and self.silent(now_s):
            self.quiet_s, self.quiet_windows = 0.0, 0
        self._last_s = now_s
        self._budget_s = min(self._budget_s + since_s, clearing.longest_credit_s)
        earned_s = min(window.duration_s, self._budget_s)
        self._budget_s -= earned_s
        return earned_s

    def _weigh(self, window_id: int, scores: Scores, credit_s: float) -> bool:
        quiet = True
        for evidence in self.evidence:
            quiet = evidence.add(window_id, scores, credit_s) and quiet
        return quiet and scores.plausible()

    def _count_quiet(self, window: Window, earned_s: float, *, quiet: bool) -> None:
        if not quiet:
            self.quiet_s, self.quiet_windows = 0.0, 0
        elif window.presence in PRESENT or not self.policy.clearing.needs_presence:
            self.quiet_s += earned_s
            self.quiet_windows += 1

    def _decide(self, window_id: int) -> Step:
        if self.verdict is not Verdict.PROTECT and (fired := self._fired(Verdict.PROTECT)):
            return Step(self._by(fired, Verdict.PROTECT, fired.hot_s))
        if self.verdict in (Verdict.UNKNOWN, Verdict.CLEAR) and (step := self._doubt()):
            return step
        if self.verdict is not Verdict.CLEAR and self._quiet_enough():
            return Step(self._clear(window_id))
        return NOTHING

    def _fired(self, then: Verdict) -> Evidence | None:
        for evidence in self.evidence:
            rule = evidence.rule
            if rule.then is not then or not evidence.windows:
                continue
            if evidence.fires(agreed=self.partner.agrees(rule.name)):
                return evidence
        return None

    def _doubt(self) -> Step | None:
        if fired := self._fired(Verdict.UNSURE):
            moved = self._by(fired, Verdict.UNSURE, fired.hot_s)
            return Step(moved, Escalation(moved.reason, moved.explanation))
        for evidence in self.evidence:
            if evidence.doubts():
                moved = self._by(evidence, Verdict.UNSURE, evidence.band_s)
                return Step(moved, Escalation(moved.reason, moved.explanation))
        return None

    def _by(self, evidence: Evidence, after: Verdict, held_s: float) -> Transition:
        rule = evidence.rule
        hot = after is rule.then
        reason = rule.reason if hot else f"{rule.name.upper()}_UNSURE"
        mark = rule.threshold if hot else rule.unsure_from
        why = Explanation(
            rule.name,
            evidence.value,
            mark,
            held_s,
            tuple(evidence.window_ids),
            self.partner.agrees(rule.name),
        )
        return self._move(after, reason, why)

    def _quiet_enough(self) -> bool:
        clearing = self.policy.clearing
        short = self.verdict is Verdict.UNKNOWN or self.vouched
        needed_s = clearing.first_clear_s if short else clearing.clear_s
        return self.quiet_windows >= clearing.windows_at_least and self.quiet_s >= needed_s

    def _clear_now(self, now_s: float) -> Transition | None:
        """CLEAR at once, where what came last was quiet for more than one window."""
        enough = self.quiet_windows >= self.policy.clearing.windows_at_least
        return self._clear(self._window_id) if enough and not self.silent(now_s) else None

    def _clear(self, window_id: int) -> Transition:
        value = max((e.value for e in self.evidence), default=0.0)
        mark = min((e.rule.unsure_from for e in self.evidence), default=1.0)
        first = max(1, window_id - self.quiet_windows + 1)
        windows = tuple(range(first, window_id + 1))[-16:]
        why = Explanation("clearing", value, mark, self.quiet_s, windows)
        for evidence in self.evidence:
            evidence.forget()
        return self._move(Verdict.CLEAR, QUIET, why)

    def _move(self, after: Verdict, reason: str, why: Explanation) -> Transition:
        before, self.verdict, self.reason = self.verdict, after, reason
        self.quiet_s, self.quiet_windows = 0.0, 0
        self.escalation, self.vouched = "", False
        if reason == DISMISSED:
            for evidence in self.evidence:
                evidence.forget()
        return Transition(before, after, reason, self.policy.version, why)
