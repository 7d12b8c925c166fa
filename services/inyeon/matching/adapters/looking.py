"""What the store knows about people and tickets, in one statement each: most of what a statement
costs is the way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    bindparam,
    cast,
    literal,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.rows import micros, moment_of
from inyeon.matching.adapters.tables import (
    devices,
    edges,
    faults,
    live_users,
    meetings,
    sanctions,
    ticket_ends,
    verdicts,
)
from inyeon.matching.domain.people import Verdict
from inyeon.runtime.store.dialects import is_postgresql, one_of

Columns = tuple[str, ColumnElement[Any], Any, Any]
"""Kind of fact, whose, a text and a number with it."""


@dataclass(slots=True)
class Looked:
    """What the store knows of some people and tickets."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    sanctioned: dict[str, datetime] = field(default_factory=dict)
    cooling: dict[str, datetime] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    """Who is in a match."""
    met: list[tuple[str, str, datetime]] = field(default_factory=list)
    """Who shall not meet again until when."""
    blocked: set[tuple[str, str]] = field(default_factory=set)
    twins: dict[str, dict[str, None]] = field(default_factory=dict)
    """Others on the same device."""
    over: set[str] = field(default_factory=set)
    """Tickets that have ended."""


async def look(
    connection: AsyncConnection, users: Sequence[str], tickets: Sequence[str], at: datetime
) -> Looked:
    """Everything that gates go by, of these people; and which of these tickets are over."""
    asking = _everything(is_postgresql(connection))
    given = {"users": sorted(set(users)), "tickets": sorted(set(tickets)), "now": micros(at)}
    looked = Looked()
    for kind, one, other, number in await connection.execute(asking, given):
        _note(looked, kind, one, other, number)
    return looked


async def unfit(
    connection: AsyncConnection, users: Sequence[str], tickets: Sequence[str], at: datetime
) -> tuple[frozenset[str], frozenset[str]]:
    """Who of them may not meet now, and which of the tickets are over."""
    asking = _obstacles(is_postgresql(connection))
    given = {"users": sorted(set(users)), "tickets": sorted(set(tickets)), "now": micros(at)}
    rows = (await connection.execute(asking, given)).all()
    people = frozenset(name for name, is_ticket in rows if not is_ticket)
    return people, frozenset(name for name, is_ticket in rows if is_ticket)


def _note(looked: Looked, kind: str, one: str, other: str, number: int) -> None:
    match kind:
        case "verdict":
            looked.verdicts[one] = Verdict[other]
        case "sanction":
            looked.sanctioned[one] = moment_of(number)
        case "fault":
            looked.cooling[one] = moment_of(number)
        case "live":
            looked.live.add(one)
        case "met":
            looked.met.append((one, other, moment_of(number)))
        case "edge":
            looked.blocked.add((one, other))
        case "twin":
            looked.twins.setdefault(one, {})[other] = None
        case _:
            looked.over.add(one)


@cache
def _everything(of_server: bool) -> CompoundSelect[Any]:
    def mine(column: Any) -> ColumnElement[bool]:
        return one_of(column, "users", of_server=of_server)

    me, other = devices.alias("mine"), devices.alias("theirs")
    ended = one_of(ticket_ends.c.ticket_id, "tickets", of_server=of_server)
    met = meetings.c.until_us > bindparam("now", type_=BigInteger)
    meeting: Columns = ("met", meetings.c.user_id, meetings.c.other_id, meetings.c.until_us)
    edge: Columns = ("edge", edges.c.user_id, edges.c.other_id, 0)
    return union_all(
        _rows(("verdict", verdicts.c.user_id, verdicts.c.verdict, 0)).where(
            mine(verdicts.c.user_id)
        ),
        _rows(("sanction", sanctions.c.user_id, "", sanctions.c.until_us)).where(
            mine(sanctions.c.user_id)
        ),
        _rows(("fault", faults.c.user_id, "", faults.c.until_us)).where(mine(faults.c.user_id)),
        _rows(("live", live_users.c.user_id, "", 0)).where(mine(live_users.c.user_id)),
        _rows(meeting).where(mine(meetings.c.user_id), met),
        _rows(meeting).where(mine(meetings.c.other_id), met),
        _rows(edge).where(mine(edges.c.user_id)),
        _rows(edge).where(mine(edges.c.other_id)),
        _rows(("twin", me.c.user_id, other.c.user_id, 0)).where(
            mine(me.c.user_id), me.c.device == other.c.device, me.c.user_id != other.c.user_id
        ),
        _rows(("over", ticket_ends.c.ticket_id, "", 0)).where(ended),
    )


@cache
def _obstacles(of_server: bool) -> CompoundSelect[Any]:
    def mine(column: Any) -> ColumnElement[bool]:
        return one_of(column, "users", of_server=of_server)

    fine = [verdict.name for verdict in Verdict if verdict.lets_meet]
    now = bindparam("now", type_=BigInteger)
    user, ticket = (cast(literal(number), BigInteger) for number in (0, 1))
    return union_all(
        select(live_users.c.user_id, user).where(mine(live_users.c.user_id)),
        select(verdicts.c.user_id, user).where(
            mine(verdicts.c.user_id), verdicts.c.verdict.not_in(fine)
        ),
        select(sanctions.c.user_id, user).where(
            mine(sanctions.c.user_id), sanctions.c.until_us > now
        ),
        select(ticket_ends.c.ticket_id, ticket).where(
            one_of(ticket_ends.c.ticket_id, "tickets", of_server=of_server)
        ),
    )


def _rows(columns: Columns) -> Select[Any]:
    kind, one, other, number = columns
    return select(cast(literal(kind), Text), one, _as(other, Text), _as(number, BigInteger))


def _as(value: Any, kind: type[Text | BigInteger]) -> Any:
    """A constant has no type of its own; columns do."""
    return value if isinstance(value, ColumnElement) else cast(literal(value), kind)
