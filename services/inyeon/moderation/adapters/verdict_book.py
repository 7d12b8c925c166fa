"""Verdicts: the last one of each person, and an event for every one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inyeon.moderation.adapters import events
from inyeon.moderation.adapters.tables import verdicts
from inyeon.moderation.app.ports import StoredVerdict
from inyeon.moderation.domain.verdict import Verdict
from inyeon.runtime.store.dialects import microseconds
from inyeon.runtime.store.many import put
from inyeon.runtime.store.port import Transaction


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """A verdict that is to be recorded."""

    user_id: str
    session_id: str
    verdict: Verdict
    reason: str
    policy_version: str
    changed_at: datetime


async def record(tx: Transaction, new: Sequence[NewVerdict]) -> list[StoredVerdict]:
    """Records verdicts of different people, in the order given, in two statements. Each takes its
    person's next version, in the order of persons: two replicas with sessions of the same people do
    not wait in a ring."""
    if not new:
        return []
    versions = await tx.next_versions([_fact(one) for one in new])
    stored = [
        StoredVerdict(
            one.verdict, one.reason, one.policy_version, one.changed_at, versions[_fact(one)]
        )
        for one in new
    ]
    pairs = list(zip(new, stored, strict=True))
    rows = [_row(*pair) for pair in pairs]
    await put(tx.connection, verdicts, rows, key=["user_id"])
    for one, now in pairs:
        await tx.emit(events.verdict_recorded(one.user_id, one.session_id, now))
    return stored


def _fact(one: NewVerdict) -> str:
    return f"verdict:{one.user_id}"


def _row(one: NewVerdict, now: StoredVerdict) -> dict[str, object]:
    return {
        "user_id": one.user_id,
        "session_id": one.session_id,
        "verdict": now.verdict.value,
        "reason": now.reason,
        "policy_version": now.policy_version,
        "changed_at": microseconds(now.changed_at),
        "version": now.version,
    }
