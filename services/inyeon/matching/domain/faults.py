"""Own faults, and how long somebody cools down after them: nobody pays for what another did.

Faults: declining a proposed match, not answering one, a call that failed because one's own device
was silent, and leaving a match at once. Three within ten minutes are free, for everybody declines
somebody; each further one doubles the pause, from 10 s to 5 min.
"""

from __future__ import annotations

from dataclasses import dataclass

from inyeon.matching.domain.matches import EndReason

FREE = 3
FORGIVEN_AFTER_S = 600.0
"""Without a fault for so long, the count begins anew."""
FIRST_S = 10.0
LONGEST_S = 300.0
ALWAYS = frozenset({EndReason.DECLINED, EndReason.NOT_ACCEPTED, EndReason.CONNECT_FAILED})
"""Ends that are a fault of those to blame for them, however long the match was."""


@dataclass(frozen=True, slots=True)
class FaultRules:
    """How one person's faults are counted."""

    skip_within_s: float = 0.0
    """Leaving a match sooner is a fault; 0: never."""
    cool_down: float = 1.0
    """How many times as long as usual a pause is."""


def at_fault(
    reason: EndReason, to_blame: frozenset[str], lasted_s: float, skip_within_s: float
) -> frozenset[str]:
    """Whose fault an end was. Leaving is one within `skip_within_s`; 0: never."""
    if reason in ALWAYS or (reason is EndReason.LEFT and lasted_s < skip_within_s):
        return to_blame
    return frozenset()


def cool_down_s(count: int, rules: FaultRules = FaultRules()) -> float:
    """Seconds of pause after the `count`-th fault in a row; 0 for the free ones."""
    if count <= FREE:
        return 0.0
    return rules.cool_down * min(FIRST_S * 2.0 ** min(count - FREE - 1, 16), LONGEST_S)
