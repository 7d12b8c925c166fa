"""A session's state as plain values: what a commit writes and what a resumed session starts from.

Only lengths of time are kept, no points of monotonic time: those mean nothing in another process.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from inyeon.moderation.domain.evidence import Evidence
from inyeon.moderation.domain.machine import VerdictMachine
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import Verdict

FORMAT = 1


class EvidenceState(TypedDict):
    """One rule's bucket."""

    hot_s: float
    band_s: float
    windows: int
    band_windows: int
    frames: int
    window_ids: list[int]
    hits: list[bool]


class Snapshot(TypedDict):
    """One session; JSON without loss."""

    format: int
    policy_version: str
    verdict: str
    reason: str
    quiet_s: float
    quiet_windows: int
    trust: float
    evidence: dict[str, EvidenceState]
    escalation: NotRequired[str]
    """The escalation that waits for a second opinion."""
    vouched: NotRequired[bool]


def take(machine: VerdictMachine) -> Snapshot:
    """The machine's state now; rules that hold nothing are left out."""
    saved = Snapshot(
        format=FORMAT,
        policy_version=machine.policy.version,
        verdict=machine.verdict.value,
        reason=machine.reason,
        quiet_s=machine.quiet_s,
        quiet_windows=machine.quiet_windows,
        trust=machine.partner.trust,
        evidence={e.rule.name: _bucket(e) for e in machine.evidence if e.windows or e.band_windows},
    )
    if machine.escalation:  # most sessions never have one: their rows stay as small as they are
        saved["escalation"], saved["vouched"] = machine.escalation, machine.vouched
    return saved


def restore(policy: Policy, saved: Snapshot) -> VerdictMachine:
    """A machine that goes on from `saved`. Under another policy the verdict stays, evidence for
    rules starts again, since seconds held under other thresholds mean something else."""
    machine = VerdictMachine(policy)
    machine.verdict = Verdict(saved["verdict"])
    machine.reason = saved["reason"]
    machine.partner.trust = saved["trust"]
    machine.escalation = saved.get("escalation", "")
    machine.vouched = saved.get("vouched", False)
    if saved["policy_version"] != policy.version:
        return machine
    machine.quiet_s, machine.quiet_windows = saved["quiet_s"], saved["quiet_windows"]
    for evidence in machine.evidence:
        if held := saved["evidence"].get(evidence.rule.name):
            _fill(evidence, held)
    return machine


def resume(policy: Policy, saved: Snapshot | None, stored: Verdict, reason: str) -> VerdictMachine:
    """The machine of a session that opens: from its own snapshot, or new. The user's stored verdict
    always wins: another session or a reviewer may have moved it since; a stored CLEAR that this
    session did not earn is UNKNOWN here."""
    if saved is None:
        return VerdictMachine(policy, stored, reason)
    machine = restore(policy, saved)
    if machine.verdict is not stored:
        machine.verdict = Verdict.UNKNOWN if stored is Verdict.CLEAR else stored
        machine.reason = reason
        machine.escalation, machine.vouched = "", False
    return machine


def _bucket(evidence: Evidence) -> EvidenceState:
    return EvidenceState(
        hot_s=evidence.hot_s,
        band_s=evidence.band_s,
        windows=evidence.windows,
        band_windows=evidence.band_windows,
        frames=evidence.frames,
        window_ids=list(evidence.window_ids),
        hits=list(evidence.hits),
    )


def _fill(evidence: Evidence, held: EvidenceState) -> None:
    evidence.hot_s, evidence.band_s = held["hot_s"], held["band_s"]
    evidence.windows, evidence.band_windows = held["windows"], held["band_windows"]
    evidence.frames = held["frames"]
    evidence.window_ids.extend(held["window_ids"])
    evidence.hits.extend(held["hits"])
