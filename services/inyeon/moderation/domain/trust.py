"""How far a device's own word goes: what the partner's device sees of the same picture lowers or
mends the trust in it."""

from __future__ import annotations

from inyeon.moderation.domain.evidence import Evidence
from inyeon.moderation.domain.observation import Scores
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import DEVICES_DISAGREE, Escalation, Explanation, Verdict


class PartnerView:
    """The partner's windows about one person's picture. Corroborates rules; never fires one."""

    __slots__ = ("_against_s", "_evidence", "_policy", "_told", "trust")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._evidence = [Evidence(rule) for rule in policy.rules if rule.then is Verdict.PROTECT]
        self._against_s = 0.0
        self._told = False
        self.trust = 1.0
        """In [0, 1]; 1 is a device that nobody contradicted."""

    def agrees(self, rule_name: str) -> bool:
        """The partner sees what this rule is about, for as long as the policy asks."""
        hot_s = self._policy.partner.hot_s
        return any(e.rule.name == rule_name and e.hot_s >= hot_s for e in self._evidence)

    def add(
        self, window_id: int, scores: Scores, credit_s: float, *, own_hot: bool
    ) -> Escalation | None:
        """Takes a partner's scored window in. `own_hot`: the own device reports the same trouble,
        or its verdict says so.

        Returns an escalation once when trust falls below the policy's mark; again only after it was
        mended.
        """
        quiet = [evidence.add(window_id, scores, credit_s) for evidence in self._evidence]
        if all(quiet):
            self._against_s = max(0.0, self._against_s - credit_s)
            self._mend(0.0 if own_hot else credit_s)
            return None
        return None if own_hot else self._doubt(credit_s)

    def _mend(self, credit_s: float) -> None:
        self.trust = min(1.0, self.trust + credit_s * self._policy.partner.recover_per_s)
        if self.trust >= self._policy.partner.escalate_below:
            self._told = False

    def _doubt(self, credit_s: float) -> Escalation | None:
        rule = self._policy.partner
        self._against_s += credit_s
        seen = next((e for e in self._evidence if e.windows >= 2 and e.hot_s >= rule.hot_s), None)
        if seen is None or self._against_s < rule.hot_s:
            return None
        held_s, self._against_s = self._against_s, 0.0
        self.trust = max(0.0, self.trust - rule.step)
        if self._told or self.trust >= rule.escalate_below:
            return None
        self._told = True
        why = Explanation(
            seen.rule.name, seen.value, seen.rule.threshold, held_s, tuple(seen.window_ids)
        )
        return Escalation(DEVICES_DISAGREE, why)
