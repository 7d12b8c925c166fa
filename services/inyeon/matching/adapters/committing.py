"""Commit of a wave: everything is looked at again inside the transaction that writes it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters import events
from inyeon.matching.adapters.bars import barred_pairs
from inyeon.matching.adapters.looking import unfit
from inyeon.matching.adapters.modes import modes_of
from inyeon.matching.adapters.rows import match_to_json, micros
from inyeon.matching.adapters.tables import (
    credits_given,
    live_matches,
    live_users,
    meetings,
    pool_owners,
    ticket_ends,
)
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.matching.errors import PoolLost, PoolPaused
from inyeon.runtime.store.dialects import is_postgresql, one_of
from inyeon.runtime.store.port import Transaction

CHUNK = 200
"""Pairs looked at in one statement: 4 names a pair stay far below what a statement may bind."""


async def commit_proposals(tx: Transaction, order: WaveOrder, horizon: timedelta) -> frozenset[str]:
    """Writes what still holds; returns the match ids. Raises PoolLost, PoolPaused."""
    await _check_epoch(tx.connection, order)
    await _check_mode(tx.connection, order)
    kept: list[Proposal] = []
    for start in range(0, len(order.proposals), CHUNK):
        chunk = order.proposals[start : start + CHUNK]
        kept += await _still_right(tx.connection, order, chunk)
    stand = frozenset(proposal.match.match_id for proposal in kept)
    if kept:
        await _write(tx.connection, order, kept, horizon)
        await _emit(tx, order, kept, stand)
    return stand


async def _check_epoch(connection: AsyncConnection, order: WaveOrder) -> None:
    # The row stays locked, so no other owner can come in before this commit.
    owner = select(pool_owners.c.epoch).where(pool_owners.c.pool == order.pool)
    epoch = await connection.scalar(owner.with_for_update())
    if epoch != order.epoch:
        raise PoolLost(f"pool {order.pool} has epoch {epoch}, this replica holds {order.epoch}")


async def _check_mode(connection: AsyncConnection, order: WaveOrder) -> None:
    modes = await modes_of(connection, [order.pool])
    if modes[order.pool] is PoolMode.PAUSED:
        raise PoolPaused(f"an operator paused pool {order.pool}")


async def _still_right(
    connection: AsyncConnection, order: WaveOrder, proposals: tuple[Proposal, ...]
) -> list[Proposal]:
    users = [user for proposal in proposals for user in proposal.match.users]
    tickets = [ticket for one in proposals for ticket in one.tickets]
    out, over = await unfit(connection, users, tickets, order.decided_at)
    pairs = [one.match.users for one in proposals]
    barred = await barred_pairs(connection, pairs, order.decided_at)
    return [
        proposal
        for proposal in proposals
        if out.isdisjoint(proposal.match.users)
        and over.isdisjoint(proposal.tickets)
        and frozenset(proposal.match.users) not in barred
    ]


async def _write(
    connection: AsyncConnection, order: WaveOrder, kept: list[Proposal], horizon: timedelta
) -> None:
    now = micros(order.decided_at)
    until = micros(order.decided_at + horizon)
    matches = [one.match for one in kept]
    # In order of their keys, so that two transactions never wait for each other in a ring.
    pairs = sorted(sorted(match.users) for match in matches)
    users = sorted(user for match in matches for user in match.users)
    live = [{"user_id": u, "match_id": match.match_id} for match in matches for u in match.users]
    await connection.execute(insert(live_users), sorted(live, key=lambda row: row["user_id"]))
    await connection.execute(
        insert(live_matches),
        [
            {
                "match_id": match.match_id,
                "pool": match.pool,
                "started_us": micros(match.started_at),
                "match": match_to_json(match),
            }
            for match in matches
        ],
    )
    await connection.execute(
        insert(ticket_ends),
        [
            {"ticket_id": t, "user_id": u, "reason": TicketEnd.MATCHED.value, "ended_us": now}
            for one in kept
            for t, u in zip(one.tickets, one.match.users, strict=True)
        ],
    )
    # Past horizons of the same pairs, and credits that have now been used.
    forgotten = tuple_(meetings.c.user_id, meetings.c.other_id)
    for start in range(0, len(pairs), CHUNK):
        some = [tuple(pair) for pair in pairs[start : start + CHUNK]]
        await connection.execute(delete(meetings).where(forgotten.in_(some)))
    used = one_of(credits_given.c.user_id, "users", of_server=is_postgresql(connection))
    await connection.execute(delete(credits_given).where(used), {"users": users})
    await connection.execute(
        insert(meetings),
        [{"user_id": one, "other_id": other, "until_us": until} for one, other in pairs],
    )


async def _emit(
    tx: Transaction, order: WaveOrder, kept: list[Proposal], stand: frozenset[str]
) -> None:
    agreed = [f"match:{one.match.match_id}" for one in kept if one.match.agreed]
    versions = await tx.next_versions(agreed)
    for proposal in kept:
        match = proposal.match
        if match.agreed:  # else when both have said yes
            await tx.emit(events.match_live(match, versions[f"match:{match.match_id}"]))
        for ticket_id, user_id in zip(proposal.tickets, match.users, strict=True):
            ids = ticket_id, user_id, order.pool
            await tx.emit(events.ticket_ended(*ids, TicketEnd.MATCHED, order.decided_at))
    for record in events.wave_decided(order, stand):
        await tx.emit(record)
