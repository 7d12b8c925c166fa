"""Cases: opened once per person and reason, listed by urgency, decided under the chain's one locked
head row."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, case, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.moderation.adapters.embedding_book import Kept, keep_with_cases
from inyeon.moderation.adapters.sql import moment
from inyeon.moderation.adapters.tables import cases, chain_head, decisions, matches, reports
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.domain.chain import GENESIS, Entry, first_break
from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import CaseClosed, CaseMissing, PageRefused
from inyeon.runtime.store.dialects import is_postgresql, microseconds, one_of, upsert

_LIVE = exists().where(
    matches.c.ended_at.is_(None),
    or_(matches.c.user_a == cases.c.user_id, matches.c.user_b == cases.c.user_id),
)
_REPORTS = (
    select(func.count(func.distinct(reports.c.reporter_id)))
    .where(reports.c.case_id == cases.c.case_id)
    .scalar_subquery()
)
_CLOSED = cases.c.closed_at.is_not(None)
_AGE = case((_CLOSED, -cases.c.closed_at), else_=cases.c.opened_at)
_ORDER = (_CLOSED, and_(~_CLOSED, ~_LIVE), _AGE, cases.c.case_id)
_CASES = select(cases, _LIVE.label("live"), _REPORTS.label("reports"))


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a case, or joins the open one."""

    user_id: str
    session_id: str
    match_id: str
    reason: str
    verdict: Verdict
    policy_version: str
    explanation: str
    at: datetime
    embedding: Embedding | None = None
    """Of the moment that opens it; kept while the case is open."""
    embedding_reason: str = ""
    """Reason that chooses the bank, where it is not the case's own."""


async def open_case(connection: AsyncConnection, opening: Opening) -> str:
    """Id of the open case of this person and reason; opens one where there is none."""
    return (await open_cases(connection, [opening]))[0]


async def open_cases(connection: AsyncConnection, openings: Sequence[Opening]) -> list[str]:
    """The same for many, in three statements; ids in the order given. Rows are taken in the order
    of person and reason, so that two writers wait for each other and never lock each other out."""
    if not openings:
        return []
    ordered = sorted(openings, key=lambda opening: (opening.user_id, opening.reason))
    inserting = upsert(connection, cases)
    # An open case is locked by an update that changes nothing, so nobody closes it before we end.
    adding = inserting.on_conflict_do_update(
        index_elements=["user_id", "reason"],
        index_where=cases.c.closed_at.is_(None),
        set_={"user_id": inserting.excluded.user_id},
    )
    await connection.execute(adding, [_row(opening) for opening in ordered])
    found = select(cases.c.user_id, cases.c.reason, cases.c.case_id).where(
        cases.c.closed_at.is_(None),
        one_of(cases.c.user_id, "users", of_server=is_postgresql(connection)),
    )
    users = {"users": sorted({opening.user_id for opening in openings})}
    ids = {(row[0], row[1]): str(row[2]) for row in (await connection.execute(found, users)).all()}
    kept = [
        Kept(ids[o.user_id, o.reason], o.embedding, o.embedding_reason or o.reason, o.at)
        for o in ordered
        if o.embedding is not None
    ]
    await keep_with_cases(connection, kept)
    return [ids[opening.user_id, opening.reason] for opening in openings]


async def page_of_cases(
    connection: AsyncConnection, *, open_only: bool | None, size: int, after: str
) -> tuple[list[Case], str]:
    """A page in order of Case.urgency, and the token of the next. Raises PageRefused."""
    query = _CASES.order_by(*_ORDER).limit(size + 1)
    if open_only is not None:
        query = query.where(~_CLOSED if open_only else _CLOSED)
    if after:
        query = _after(query, after)
    found = [_case(row) for row in (await connection.execute(query)).all()]
    page = found[:size]
    return page, _token(page[-1]) if len(found) > size else ""


async def find_case(connection: AsyncConnection, case_id: str) -> Case:
    """One case. Raises CaseMissing."""
    row = (await connection.execute(_CASES.where(cases.c.case_id == case_id))).one_or_none()
    if row is None:
        raise CaseMissing(f"there is no case {case_id!r}", field="case_id")
    return _case(row)


async def decide_case(
    connection: AsyncConnection,
    case_id: str,
    reviewer: str,
    decision: Decision,
    note: str,
    at: datetime,
) -> Case:
    """Appends the decision to the chain and closes the case. Raises CaseMissing, CaseClosed."""
    seq, previous = await _lock_head(connection)
    found = await find_case(connection, case_id)
    if not found.open:
        raise CaseClosed(f"case {case_id!r} was decided before", field="case_id")
    entry = Entry(seq + 1, case_id, reviewer, decision.value, note, at.isoformat())
    hashed = entry.hash_after(previous)
    await connection.execute(decisions.insert().values(**_row_of(entry), hash=hashed))
    await connection.execute(update(chain_head).values(seq=entry.seq, hash=hashed))
    closing = update(cases).where(cases.c.case_id == case_id)
    await connection.execute(closing.values(closed_at=microseconds(at), decision=decision.value))
    return found.decided(decision, at)


async def audit_chain(connection: AsyncConnection) -> int | None:
    """First sequence that does not hold; None where the chain is whole."""
    rows = (await connection.execute(select(decisions).order_by(decisions.c.seq))).all()
    head = (await connection.execute(select(chain_head.c.seq, chain_head.c.hash))).one_or_none()
    entries = [
        (Entry(*(getattr(row, name) for name in Entry.__slots__)), str(row.hash)) for row in rows
    ]
    return first_break(entries, (head.seq, head.hash) if head else (0, GENESIS))


async def _lock_head(connection: AsyncConnection) -> tuple[int, str]:
    """Sequence and hash of the newest entry; the row stays locked until the transaction ends, so
    entries queue up."""
    first = upsert(connection, chain_head).values(id=1, seq=0, hash=GENESIS)
    await connection.execute(first.on_conflict_do_nothing(index_elements=["id"]))
    touched = update(chain_head).values(seq=chain_head.c.seq)
    head = await connection.execute(touched.returning(chain_head.c.seq, chain_head.c.hash))
    row = head.one()
    return int(row.seq), str(row.hash)


def _row(opening: Opening) -> dict[str, Any]:
    return {
        "case_id": uuid.uuid4().hex,
        "user_id": opening.user_id,
        "session_id": opening.session_id,
        "match_id": opening.match_id,
        "reason": opening.reason,
        "verdict": opening.verdict.value,
        "policy_version": opening.policy_version,
        "explanation": opening.explanation,
        "opened_at": microseconds(opening.at),
    }


def _row_of(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__slots__}


def _case(row: Row[Any]) -> Case:
    return Case(
        row.case_id,
        row.user_id,
        row.session_id,
        row.match_id,
        row.reason,
        Verdict(row.verdict),
        row.policy_version,
        row.explanation,
        moment(row.opened_at),
        bool(row.live),
        int(row.reports),
        None if row.closed_at is None else moment(row.closed_at),
        None if row.decision is None else Decision(row.decision),
    )


def _token(last: Case) -> str:
    """Place of a case in the order of Case.urgency, with whole microseconds for the age."""
    closed, calm, _, case_id = last.urgency()
    age = microseconds(last.opened_at) if last.closed_at is None else -microseconds(last.closed_at)
    text = f"{closed:d}.{calm:d}.{age}.{case_id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _after(query: Select[Any], token: str) -> Select[Any]:
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
        closed, calm, age, case_id = text.split(".", 3)
        place = (bool(int(closed)), bool(int(calm)), int(age), case_id)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise PageRefused("this page token was never given", field="page_token") from error
    return query.where(tuple_(*_ORDER) > tuple_(*(literal(value) for value in place)))
