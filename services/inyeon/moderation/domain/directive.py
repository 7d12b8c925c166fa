"""Orders to devices, and which of them a change of verdict calls for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from inyeon.moderation.domain.observation import Subject
from inyeon.moderation.domain.verdict import Transition, Verdict


class Action(Enum):
    """What a device must do at once. Repeating one changes nothing."""

    PROTECT = "PROTECT"
    CLEAR = "CLEAR"
    WARN = "WARN"
    END = "END"
    SEND_EVIDENCE = "SEND_EVIDENCE"


@dataclass(frozen=True, slots=True)
class Directive:
    """One order."""

    directive_id: str
    action: Action
    subject: Subject
    reason: str
    match_id: str
    policy_version: str


def own_action(moved: Transition) -> Action | None:
    """What the person's own device is told: to cover, to uncover, or nothing."""
    if moved.after is Verdict.PROTECT:
        return Action.PROTECT
    return Action.CLEAR if moved.before is Verdict.PROTECT else None


def partner_actions(moved: Transition) -> tuple[Action, ...]:
    """What the partner's device is told about the received picture."""
    own = own_action(moved)
    if own is None:
        return ()
    return (Action.PROTECT, Action.WARN) if own is Action.PROTECT else (Action.CLEAR,)
