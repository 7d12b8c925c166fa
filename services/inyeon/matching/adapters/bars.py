"""Whom somebody must not meet: blocks, reports, the rematch horizon, and people on one device.

A block holds for every account that was seen on a device of either side, however they come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.devices import LOOKED_AT, Twins, twins_of
from inyeon.matching.adapters.looking import Looked
from inyeon.matching.adapters.rows import micros
from inyeon.matching.adapters.tables import edges, meetings

CHUNK = 400
"""Names or pairs in one statement."""

Bars = dict[str, dict[str, datetime | None]]
"""By user: whom until when; None: for ever."""


async def bars_of(connection: AsyncConnection, users: Sequence[str], looked: Looked) -> Bars:
    """Everybody whom each of these users must not meet."""
    bars: Bars = {user: {} for user in users}
    for one, other, until in looked.met:
        _bar(bars, one, other, until)
    blocked, twins = set(looked.blocked), {one: tuple(all_) for one, all_ in looked.twins.items()}
    accounts = set[str]().union(*twins.values()).difference(users)
    if accounts:
        blocked.update(await _edges_of(connection, accounts))
    others = {one for pair in blocked for one in pair}.difference(users)
    everybody = twins | (await twins_of(connection, others) if others else {})
    for one, other in blocked:
        for here in (one, *everybody.get(one, ())):
            for there in (other, *everybody.get(other, ())):
                _bar(bars, here, there, None)
    for user, those in twins.items():
        for other in those:
            _bar(bars, user, other, None)
    return bars


async def barred_pairs(
    connection: AsyncConnection, pairs: Sequence[tuple[str, str]], at: datetime
) -> set[frozenset[str]]:
    """Which of these pairs must not meet. Of each person's twins the newest are looked at: a pair
    comes from a pool that knew of all others."""
    twins = await twins_of(connection, {one for pair in pairs for one in pair})
    stands_for: dict[tuple[str, str], set[frozenset[str]]] = {}
    barred: set[frozenset[str]] = set()
    for one, other in pairs:
        if other in twins.get(one, ()):
            barred.add(frozenset((one, other)))
        for here, there in _accounts(one, other, twins):
            for both in ((here, there), (there, here)):
                stands_for.setdefault(both, set()).add(frozenset((one, other)))
    for found in await _known(connection, list(stands_for), pairs, at):
        barred |= stands_for.get(found, set())
    return barred


def _accounts(one: str, other: str, twins: Twins) -> Iterable[tuple[str, str]]:
    for here in (one, *twins.get(one, ())[:LOOKED_AT]):
        for there in (other, *twins.get(other, ())[:LOOKED_AT]):
            yield here, there


async def _known(
    connection: AsyncConnection,
    accounts: Sequence[tuple[str, str]],
    pairs: Sequence[tuple[str, str]],
    at: datetime,
) -> list[tuple[str, str]]:
    """Blocks among the accounts, and meetings of the pairs themselves."""
    found: list[tuple[str, str]] = []
    for start in range(0, len(accounts), CHUNK):
        asked = tuple_(edges.c.user_id, edges.c.other_id).in_(accounts[start : start + CHUNK])
        rows = await connection.execute(select(edges.c.user_id, edges.c.other_id).where(asked))
        found += [(one, other) for one, other in rows]
    both_ways = [tuple(sorted(pair)) for pair in pairs]
    for start in range(0, len(both_ways), CHUNK):
        asked = tuple_(meetings.c.user_id, meetings.c.other_id).in_(
            both_ways[start : start + CHUNK]
        )
        rows = await connection.execute(
            select(meetings.c.user_id, meetings.c.other_id).where(
                asked, meetings.c.until_us > micros(at)
            )
        )
        found += [(one, other) for one, other in rows]
    return found


async def _edges_of(connection: AsyncConnection, users: set[str]) -> list[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    ordered = sorted(users)
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        rows = await connection.execute(
            select(edges.c.user_id, edges.c.other_id).where(
                or_(edges.c.user_id.in_(chunk), edges.c.other_id.in_(chunk))
            )
        )
        found.update((one, other) for one, other in rows)
    return sorted(found)


def _bar(bars: Bars, one: str, other: str, until: datetime | None) -> None:
    for mine, theirs in ((one, other), (other, one)):
        if mine in bars and mine != theirs:
            bars[mine][theirs] = until
