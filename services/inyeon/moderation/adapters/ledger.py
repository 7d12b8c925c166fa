"""Moderation's store over the ground's: one transaction per verb, events through the outbox."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import cast

from sqlalchemy import delete, or_, select

from inyeon.moderation.adapters import (
    ask_book,
    case_book,
    embedding_book,
    events,
    opinion_book,
    verdict_book,
)
from inyeon.moderation.adapters.edge_book import BLOCK, REPORT, record_edges
from inyeon.moderation.adapters.match_reader import MatchReader
from inyeon.moderation.adapters.sql import moment
from inyeon.moderation.adapters.tables import matches, policies, reports, snapshots, verdicts
from inyeon.moderation.adapters.verdict_book import NewVerdict
from inyeon.moderation.app.ports import (
    Answered,
    Ask,
    Banked,
    Change,
    Decided,
    LiveMatch,
    Moved,
    NewReport,
    StoredVerdict,
)
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.domain.policy import Policy, SecondOpinion
from inyeon.moderation.domain.snapshot import Snapshot
from inyeon.moderation.domain.verdict import DISMISSED, Verdict
from inyeon.runtime.clock import Clock
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.many import put
from inyeon.runtime.store.port import Store, Transaction
from inyeon.runtime.store.repeating import repeating

RecordAcks = Callable[[Transaction, Sequence[Change]], Awaitable[frozenset[str]]]
"""Makes acknowledged sequences durable in a transaction; returns sessions whose epoch was
passed."""

MATCH_KEPT = timedelta(days=1)  # a report may come after the match; the topic keeps as long


class SqlLedger:
    """Ledger on the ground's store."""

    def __init__(
        self, store: Store, record_acks: RecordAcks, clock: Clock, rules: SecondOpinion
    ) -> None:
        self._store = store
        self._matches = MatchReader(store)
        self._record_acks = record_acks
        self._clock = clock
        self._rules = rules

    async def stored_verdict(self, user_id: str) -> StoredVerdict | None:
        query = select(verdicts).where(verdicts.c.user_id == user_id)
        async with self._store.reading(once=True) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        changed_at = moment(row.changed_at)
        return StoredVerdict(
            Verdict(row.verdict), row.reason, row.policy_version, changed_at, row.version
        )

    async def snapshot(self, session_id: str, user_id: str) -> Snapshot | None:
        where = (snapshots.c.session_id == session_id) & (snapshots.c.user_id == user_id)
        async with self._store.reading(once=True) as connection:
            found = await connection.execute(select(snapshots.c.state).where(where))
            state = found.scalar_one_or_none()
        return None if state is None else cast("Snapshot", json.loads(state))

    @repeating
    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        async with self._store.transaction() as tx:
            passed = await self._record_acks(tx, changes)
            held = [change for change in changes if change.session_id not in passed]
            if held:
                await self._save(tx, held)
            for moves in _one_each(held):
                await self._move(tx, moves)
            for change in held:
                for raised in change.raised:
                    user_id, session_id = change.user_id, change.session_id
                    await tx.emit(events.escalation_raised(user_id, session_id, raised))
        return passed

    async def match_of(self, user_id: str) -> LiveMatch | None:
        return await self._matches.of(user_id)

    async def were_matched(self, match_id: str, user_id: str, other_id: str) -> bool:
        one = (matches.c.user_a == user_id) & (matches.c.user_b == other_id)
        other = (matches.c.user_a == other_id) & (matches.c.user_b == user_id)
        query = select(matches.c.match_id).where(or_(one, other)).limit(1)
        if match_id:
            query = query.where(matches.c.match_id == match_id)
        async with self._store.reading(once=True) as connection:
            return (await connection.execute(query)).first() is not None

    @repeating
    async def report(self, report: NewReport) -> str:
        at = self._clock.now()
        async with self._store.transaction() as tx:
            known = select(reports.c.case_id).where(
                reports.c.reporter_id == report.reporter_id,
                reports.c.request_id == report.request_id,
            )
            before = (await tx.connection.execute(known)).scalar_one_or_none()
            if before is not None:
                return str(before)
            case_id = await case_book.open_case(tx.connection, _opening(report, at))
            adding = upsert(tx.connection, reports).values(
                reporter_id=report.reporter_id,
                request_id=report.request_id,
                case_id=case_id,
                note=report.note,
                reported_at=microseconds(at),
            )
            added = await tx.connection.execute(adding.on_conflict_do_nothing())
            if not added.rowcount:  # the same request at another replica, just now
                return str((await tx.connection.execute(known)).scalar_one())
            await record_edges(tx, report.reporter_id, report.reported_id, REPORT, at)
        return str(case_id)

    @repeating
    async def block(self, user_id: str, blocked_id: str) -> None:
        async with self._store.transaction() as tx:
            await record_edges(tx, user_id, blocked_id, BLOCK, self._clock.now())

    async def cases(
        self, *, open_only: bool | None, size: int, after: str
    ) -> tuple[list[Case], str]:
        async with self._store.reading(once=True) as connection:
            return await case_book.page_of_cases(
                connection, open_only=open_only, size=size, after=after
            )

    @repeating
    async def decide(self, case_id: str, reviewer: str, decision: Decision, note: str) -> Decided:
        at = self._clock.now()
        async with self._store.transaction() as tx:
            # Before the case, as commits do it, and so that the verdict read below stays as it is.
            user_id = (await case_book.find_case(tx.connection, case_id)).user_id
            await tx.hold(f"verdict:{user_id}")
            case = await case_book.decide_case(tx.connection, case_id, reviewer, decision, note, at)
            await embedding_book.settle(tx, case, decision, self._rules, at)
            return Decided(case, await self._reset(tx, case, decision, at))

    @repeating
    async def set_bank_entry(self, entry_id: str, *, enabled: bool) -> Banked:
        async with self._store.transaction() as tx:
            return await embedding_book.set_enabled(tx, entry_id, enabled=enabled)

    @repeating
    async def ask(self, ask: Ask) -> None:
        async with self._store.transaction() as tx:
            await ask_book.put(tx.connection, ask)

    @repeating
    async def take_ask(self, directive_id: str, user_id: str, request_id: str) -> Ask | None:
        at = self._clock.now()
        async with self._store.transaction() as tx:
            return await ask_book.take(tx.connection, directive_id, user_id, request_id, at)

    @repeating
    async def note_opinion(self, answered: Answered) -> None:
        async with self._store.transaction() as tx:
            await opinion_book.note(tx, [answered], self._clock.now())

    async def audit(self) -> int | None:
        async with self._store.reading() as connection:
            return await case_book.audit_chain(connection)

    @repeating
    async def publish(self, policy: Policy, document: bytes) -> bool:
        at = self._clock.now()
        async with self._store.transaction() as tx:
            adding = upsert(tx.connection, policies).values(
                version=policy.version, name=policy.name, published_at=microseconds(at)
            )
            added = await tx.connection.execute(
                adding.on_conflict_do_nothing(index_elements=["version"]).returning(
                    policies.c.version
                )
            )
            if added.one_or_none() is None:
                return False
            version = await tx.next_version(f"policy:{policy.name}")
            await tx.emit(events.policy_published(policy, document, at, version))
        return True

    @repeating
    async def forget(self, *, older_than: datetime) -> int:
        ended = microseconds(self._clock.now() - MATCH_KEPT)
        async with self._store.transaction() as tx:
            old = delete(snapshots).where(snapshots.c.updated_at < microseconds(older_than))
            over = delete(matches).where(matches.c.ended_at < ended)
            gone = [await tx.connection.execute(statement) for statement in (old, over)]
            asks = await ask_book.forget(tx.connection, self._clock.now())
        return sum(result.rowcount for result in gone) + asks

    async def _save(self, tx: Transaction, changes: Sequence[Change]) -> None:
        at = microseconds(self._clock.now())
        rows = [
            {
                "session_id": change.session_id,
                "user_id": change.user_id,
                "state": json.dumps(change.snapshot, separators=(",", ":")),
                "updated_at": at,
            }
            for change in changes
        ]
        await put(tx.connection, snapshots, rows, key=["session_id"])

    async def _move(self, tx: Transaction, moves: Sequence[tuple[Change, Moved]]) -> None:
        """Records one move each of different people, and opens the cases of those it covers."""
        new = [
            NewVerdict(
                change.user_id,
                change.session_id,
                moved.transition.after,
                moved.transition.reason,
                moved.transition.policy_version,
                moved.changed_at,
            )
            for change, moved in moves
        ]
        await verdict_book.record(tx, new)
        covered = [one for one in moves if one[1].transition.after is Verdict.PROTECT]
        await case_book.open_cases(tx.connection, [_protection(*one) for one in covered])

    async def _reset(
        self, tx: Transaction, case: Case, decision: Decision, at: datetime
    ) -> StoredVerdict | None:
        """A dismissed protection sets PROTECT back to UNSURE; a verdict that moved on meanwhile
        stays."""
        if not case.resets_verdict(decision):
            return None
        query = select(verdicts).where(verdicts.c.user_id == case.user_id)
        row = (await tx.connection.execute(query)).one_or_none()
        if row is None or row.verdict != Verdict.PROTECT.value or row.reason != case.reason:
            return None
        version = str(row.policy_version)
        new = NewVerdict(case.user_id, row.session_id, Verdict.UNSURE, DISMISSED, version, at)
        return (await verdict_book.record(tx, [new]))[0]


def _one_each(changes: Sequence[Change]) -> list[list[tuple[Change, Moved]]]:
    """Moves in rounds: the first of each person, the second of each, ..."""
    moves: dict[str, list[tuple[Change, Moved]]] = {}
    for change in changes:
        moves.setdefault(change.user_id, []).extend((change, moved) for moved in change.moved)
    rounds = zip_longest(*moves.values())
    return [[move for move in each if move is not None] for each in rounds]


def _opening(report: NewReport, at: datetime) -> case_book.Opening:
    return case_book.Opening(
        report.reported_id,
        "",
        report.match_id,
        report.reason,
        Verdict.UNKNOWN,
        "",
        "reported by the partner of a match",
        at,
    )


def _protection(change: Change, moved: Moved) -> case_book.Opening:
    now = moved.transition
    return case_book.Opening(
        change.user_id,
        change.session_id,
        moved.match_id,
        now.reason,
        now.after,
        now.policy_version,
        now.explanation.text(),
        moved.changed_at,
        moved.embedding,
    )
