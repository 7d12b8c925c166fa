"""Ends of matches, many in one transaction with the same few statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters import events
from inyeon.matching.adapters.answering import count_fault
from inyeon.matching.adapters.rows import match_from_row, micros
from inyeon.matching.adapters.tables import credits_given, live_matches, live_users, meetings
from inyeon.matching.domain.faults import FaultRules, at_fault
from inyeon.matching.domain.matches import EndReason, LiveMatch, credited
from inyeon.runtime.store.dialects import is_postgresql, one_of, upsert
from inyeon.runtime.store.port import Transaction

FaultRulesOf = Callable[[str], FaultRules]
"""Of a person's country."""
CREDIT_KEPT = timedelta(minutes=2)
"""A device seeks again within seconds; later its waiting has nothing to do with the lost match."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A match is over, as somebody says."""

    match: LiveMatch
    reason: EndReason
    ended_by: str
    at: datetime
    to_blame: frozenset[str]


async def end_matches(
    tx: Transaction, asked: Sequence[Ending], horizon: timedelta, rules_of: FaultRulesOf
) -> list[bool]:
    """Which of them ended their match; of two about one match the first."""
    first = {ending.match.match_id: ending for ending in reversed(asked)}
    kept = await _take_out(tx.connection, sorted(first))
    ends = [_as_kept(first[match_id], text) for match_id, text in sorted(kept.items())]
    if ends:
        await _extend_horizons(tx.connection, ends, horizon)
        await _give_credits(tx.connection, ends)
        await _count_faults(tx.connection, ends, rules_of)
        await _emit(tx, [ending for ending in ends if ending.match.agreed])
    ended = {id(first[match_id]) for match_id in kept}
    return [id(ending) in ended for ending in asked]


async def _take_out(connection: AsyncConnection, match_ids: list[str]) -> dict[str, str]:
    of_server = is_postgresql(connection)
    named = one_of(live_matches.c.match_id, "matches", of_server=of_server)
    columns = live_matches.c.match_id, live_matches.c.match
    ending = delete(live_matches).where(named).returning(*columns)
    rows = await connection.execute(ending, {"matches": match_ids})
    kept = {str(row.match_id): str(row.match) for row in rows}
    theirs = one_of(live_users.c.match_id, "matches", of_server=of_server)
    await connection.execute(delete(live_users).where(theirs), {"matches": sorted(kept)})
    return kept


def _as_kept(ending: Ending, text: str) -> Ending:
    """Of a proposal: somebody may have said yes meanwhile."""
    match = ending.match
    if match.accept_until is None:
        return ending
    match = match_from_row(match.match_id, match.pool, micros(match.started_at), text)
    accepted = match.accepted if ending.reason is EndReason.NOT_ACCEPTED else frozenset()
    return replace(ending, match=match, to_blame=ending.to_blame - accepted)


async def _extend_horizons(
    connection: AsyncConnection, ends: Sequence[Ending], horizon: timedelta
) -> None:
    rows = []
    for ending in ends:
        one, other = sorted(ending.match.users)
        rows.append({"one": one, "other": other, "until": micros(ending.at + horizon)})
    same = (meetings.c.user_id == bindparam("one")) & (meetings.c.other_id == bindparam("other"))
    statement = update(meetings).where(same).values(until_us=bindparam("until"))
    await connection.execute(statement, sorted(rows, key=lambda row: (row["one"], row["other"])))


async def _give_credits(connection: AsyncConnection, ends: Sequence[Ending]) -> None:
    rows = [
        {
            "user_id": side.user_id,
            "waited_s": side.waited_s,
            "until_us": micros(ending.at + CREDIT_KEPT),
        }
        for ending in ends
        for side in credited(ending.match, ending.reason, ending.to_blame)
    ]
    if not rows:
        return
    adding = upsert(connection, credits_given)
    newest = {name: adding.excluded[name] for name in ("waited_s", "until_us")}
    statement = adding.on_conflict_do_update(index_elements=["user_id"], set_=newest)
    await connection.execute(statement, sorted(rows, key=lambda row: str(row["user_id"])))


async def _count_faults(
    connection: AsyncConnection, ends: Sequence[Ending], rules_of: FaultRulesOf
) -> None:
    faulty = {
        (side.user_id, ending.at): rules_of(side.country)
        for ending in ends
        for side in ending.match.sides
        if side.user_id in _at_fault(ending, rules_of(side.country))
    }
    for (user_id, at), rules in sorted(faulty.items(), key=lambda one: one[0]):
        await count_fault(connection, user_id, at, rules)


def _at_fault(ending: Ending, rules: FaultRules) -> frozenset[str]:
    lasted_s = (ending.at - ending.match.started_at).total_seconds()
    return at_fault(ending.reason, ending.to_blame, lasted_s, rules.skip_within_s)


async def _emit(tx: Transaction, ends: Sequence[Ending]) -> None:
    facts = {ending.match.match_id: f"match:{ending.match.match_id}" for ending in ends}
    versions = await tx.next_versions(list(facts.values()))
    for ending in ends:
        match, at = ending.match, ending.at
        version = versions[facts[match.match_id]]
        await tx.emit(events.match_ended(match, ending.reason, ending.ended_by, at, version))
        for user_id in match.users:
            await tx.emit(events.outcome(match, user_id, ending.reason, ending.ended_by, at))
