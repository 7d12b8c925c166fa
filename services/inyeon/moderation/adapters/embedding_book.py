"""Embeddings of open cases, and the banks that confirmed ones make. Nothing else keeps any."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.moderation.adapters import events
from inyeon.moderation.adapters.sql import moment
from inyeon.moderation.adapters.tables import bank_entries, case_embeddings
from inyeon.moderation.app.ports import Banked
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.policy import SecondOpinion
from inyeon.moderation.errors import EntryMissing
from inyeon.runtime.store.dialects import microseconds
from inyeon.runtime.store.many import keep
from inyeon.runtime.store.port import Transaction


@dataclass(frozen=True, slots=True)
class Kept:
    """An embedding that is kept with an open case."""

    case_id: str
    embedding: Embedding
    reason: str
    """Chooses the bank, once the case is confirmed."""
    at: datetime


async def keep_with_cases(connection: AsyncConnection, kept: Sequence[Kept]) -> None:
    """Keeps embeddings for as long as their cases are open. A case keeps the first one: it is about
    the moment that opened it."""
    if not kept:
        return
    rows = [
        {
            "case_id": item.case_id,
            **_values(item.embedding),
            "reason": item.reason,
            "kept_at": microseconds(item.at),
        }
        for item in sorted(kept, key=lambda item: item.case_id)
    ]
    await keep(connection, case_embeddings, rows, key=["case_id"])


async def settle(
    tx: Transaction, case: Case, decision: Decision, rules: SecondOpinion, at: datetime
) -> Banked | None:
    """Takes the embedding from a case that was decided: into a bank where it was confirmed and its
    reason has one, away in every other case."""
    taken = delete(case_embeddings).where(case_embeddings.c.case_id == case.case_id)
    found = (await tx.connection.execute(taken.returning(*case_embeddings.c))).one_or_none()
    if found is None or decision is not Decision.CONFIRM:
        return None
    bank = rules.bank_of(found.reason) or rules.bank_of(case.reason)
    if bank is None:
        return None
    entry = Banked(uuid.uuid4().hex, bank, _embedding(found), case.case_id, True, at)
    await tx.connection.execute(
        bank_entries.insert().values(
            entry_id=entry.entry_id,
            bank=bank,
            **_values(entry.embedding),
            case_id=case.case_id,
            enabled=True,
            recorded_at=microseconds(at),
        )
    )
    await _publish(tx, entry)
    return entry


async def set_enabled(tx: Transaction, entry_id: str, *, enabled: bool) -> Banked:
    """Disables or enables an entry. Raises EntryMissing."""
    changing = update(bank_entries).where(bank_entries.c.entry_id == entry_id)
    changed = changing.values(enabled=enabled).returning(*bank_entries.c)
    row = (await tx.connection.execute(changed)).one_or_none()
    if row is None:
        raise EntryMissing(f"there is no bank entry {entry_id!r}", field="entry_id")
    entry = Banked(
        row.entry_id, row.bank, _embedding(row), row.case_id, enabled, moment(row.recorded_at)
    )
    await _publish(tx, entry)
    return entry


async def _publish(tx: Transaction, entry: Banked) -> None:
    version = await tx.next_version(f"bank-entry:{entry.entry_id}")
    await tx.emit(events.bank_entry_recorded(entry, version))


def _values(embedding: Embedding) -> dict[str, Any]:
    return {
        "model": embedding.model,
        "version": embedding.version,
        "dims": embedding.dims,
        "data": embedding.data,
    }


def _embedding(row: Row[Any]) -> Embedding:
    return Embedding(row.model, row.version, bytes(row.data))
