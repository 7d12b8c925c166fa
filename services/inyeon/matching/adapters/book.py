"""The book of matches over the store port. What the table keys promise, the database keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TypeVar

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.schema import Table

from inyeon.matching.adapters import devices, events, moving, ownership
from inyeon.matching.adapters.answering import accept_match
from inyeon.matching.adapters.bars import bars_of
from inyeon.matching.adapters.committing import commit_proposals
from inyeon.matching.adapters.ending import Ending, FaultRulesOf, end_matches
from inyeon.matching.adapters.erasing import erase
from inyeon.matching.adapters.looking import look
from inyeon.matching.adapters.modes import keep_mode, modes_of
from inyeon.matching.adapters.rows import match_from_row, micros
from inyeon.matching.adapters.tables import (
    credits_given,
    edges,
    faults,
    live_matches,
    meetings,
    sanctions,
    ticket_ends,
    verdict_marks,
    verdicts,
)
from inyeon.matching.app.ports import Facts, WaveOrder
from inyeon.matching.domain.faults import FORGIVEN_AFTER_S, FaultRules
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.runtime.clock import Clock
from inyeon.runtime.store.dialects import is_postgresql, lock, one_of, upsert
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.repeating import repeating
from inyeon.runtime.store.together import Together

ENDS_KEPT = timedelta(hours=1)
"""Far longer than a ticket lives in the log (10 min)."""
GATES = "matching-gates"
"""A wave holds it alone from its second look to its commit; what opens or closes a gate shares it.
So a verdict is either seen by the wave, or its own handler finds the match that the wave made; and
no ticket ends between look and commit, which would cost the whole wave. A wave takes some 50 ms."""
ENDS_GAP_S = 0.05
"""Between two transactions that end matches: people have hung up already."""
CREDITS_GAP_S = 0.02
"""Between two questions for credits: at 300 seekers a second six share one, and wait 10 ms for it.
"""
CHUNK = 500  # names in one statement; SQLite takes 32,766, PostgreSQL 65,535

Item = TypeVar("Item")
_Row = dict[str, str | int]


class SqlBook:
    """Matching's store."""

    def __init__(
        self,
        store: Store,
        rematch_horizon: timedelta,
        clock: Clock,
        rules_of: FaultRulesOf = lambda _: FaultRules(),
    ) -> None:
        self._rules_of = rules_of
        self._store = store
        self._clock = clock
        self._horizon = rematch_horizon
        self._ends = Together(self._end_matches, CHUNK, ENDS_GAP_S)
        self._credits = Together(self._credits_of, CHUNK, CREDITS_GAP_S)

    async def hold(
        self, pool: str, replica: str, epoch: int, patience_s: float = 0.0
    ) -> int | None:
        async with self._store.transaction() as tx:
            return await ownership.hold(
                tx.connection, self._clock, pool, replica, epoch, patience_s=patience_s
            )

    async def give_up(self, pool: str, epoch: int) -> None:
        async with self._store.transaction() as tx:
            await ownership.give_up(tx.connection, self._clock, pool, epoch)

    async def marks_expected(self) -> bool:
        async with self._store.reading() as connection:
            return await connection.scalar(select(verdict_marks.c.partition).limit(1)) is not None

    async def record_mark(self, partition: int, committed_at: datetime) -> None:
        row = {"partition": partition, "committed_us": micros(committed_at)}
        async with self._store.transaction() as tx:
            adding = upsert(tx.connection, verdict_marks).values(row)
            await tx.connection.execute(
                adding.on_conflict_do_update(index_elements=["partition"], set_=row)
            )

    @repeating
    async def see_devices(self, tickets: Sequence[Ticket], at: datetime) -> None:
        pairs = [(ticket.user_id, ticket.device) for ticket in tickets if ticket.device]
        if not pairs:
            return
        async with self._store.reading() as connection:
            new = [
                pair for chunk in _chunks(pairs) for pair in await devices.unseen(connection, chunk)
            ]
        if new:
            async with self._store.transaction() as tx:
                await lock(tx.connection, GATES, shared=True)
                await devices.keep(tx.connection, new, at)

    async def beside(self, users: Sequence[str]) -> frozenset[str]:
        async with self._store.reading() as connection:
            twins = await devices.twins_of(connection, users)
        return frozenset(users).union(*twins.values())

    async def facts(self, users: Sequence[str], at: datetime) -> dict[str, Facts]:
        return (await self.look(users, (), at))[0]

    async def look(
        self, users: Sequence[str], tickets: Sequence[str], at: datetime
    ) -> tuple[dict[str, Facts], frozenset[str]]:
        async with self._store.reading() as connection:
            looked = await look(connection, users, tickets, at)
            bars = await bars_of(connection, users, looked)
        facts = {
            user: Facts(
                looked.verdicts.get(user, Verdict.NONE),
                looked.sanctioned.get(user),
                user in looked.live,
                bars[user],
                looked.cooling.get(user),
            )
            for user in users
        }
        return facts, frozenset(looked.over)

    async def credit(self, user_id: str, at: datetime) -> float:
        waited_s, until_us = await self._credits.one(user_id)
        return waited_s if until_us > micros(at) else 0.0

    async def _credits_of(self, users: Sequence[str]) -> list[tuple[float, int]]:
        """Seconds and until when they are good."""
        async with self._store.reading(once=True) as connection:
            asking = _asking_credits(is_postgresql(connection))
            rows = await connection.execute(asking, {"users": users})
            found = {user: (float(waited), int(until)) for user, waited, until in rows}
        return [found.get(user, (0.0, 0)) for user in users]

    @repeating
    async def commit_wave(self, order: WaveOrder) -> frozenset[str]:
        try:
            async with self._store.transaction() as tx:
                await lock(tx.connection, GATES)
                return await commit_proposals(tx, order, self._horizon)
        except IntegrityError:
            # Another replica was first after our second look: nothing was written, nothing stands.
            return frozenset()

    async def modes(self, pools: Sequence[str]) -> dict[str, PoolMode]:
        async with self._store.reading() as connection:
            return await modes_of(connection, pools)

    @repeating
    async def record_mode(self, pool: str, mode: PoolMode, said_by: str, at: datetime) -> None:
        async with self._store.transaction() as tx:
            await keep_mode(tx.connection, pool, mode, said_by, at)

    @repeating
    async def end_ticket(self, ticket: Ticket, end: TicketEnd, at: datetime) -> bool:
        async with self._store.transaction() as tx:
            await lock(tx.connection, GATES, shared=True)
            if not await _insert_new(tx.connection, ticket_ends, _end(ticket, end, at)):
                return False
            ids = ticket.ticket_id, ticket.user_id, ticket.pool
            await tx.emit(events.ticket_ended(*ids, end, at))
            return True

    @repeating
    async def move_ticket(
        self, ticket: Ticket, moved: Ticket, home: str, replica: str, at: datetime
    ) -> bool:
        async with self._store.transaction() as tx:
            await lock(tx.connection, GATES, shared=True)
            end = _end(ticket, moving.end_of(ticket, moved), at)
            if not await _insert_new(tx.connection, ticket_ends, end):
                return False
            await moving.move(tx, ticket, moved, home, replica, at)
            return True

    async def place_of(self, user_id: str) -> str | None:
        async with self._store.reading() as connection:
            return await moving.place_of(connection, user_id)

    async def moved_from(self, home: str) -> frozenset[str]:
        async with self._store.reading() as connection:
            return await moving.moved_from(connection, home)

    async def end_match(
        self,
        match: LiveMatch,
        reason: EndReason,
        ended_by: str,
        at: datetime,
        to_blame: frozenset[str],
    ) -> bool:
        return await self._ends.one(Ending(match, reason, ended_by, at, to_blame))

    @repeating
    async def _end_matches(self, asked: Sequence[Ending]) -> list[bool]:
        async with self._store.transaction() as tx:
            return await end_matches(tx, asked, self._horizon, self._rules_of)

    @repeating
    async def accept(self, match: LiveMatch, user_id: str, at: datetime) -> LiveMatch | None:
        async with self._store.transaction() as tx:
            return await accept_match(tx, match.match_id, user_id, at)

    async def live_matches(self, pool: str) -> list[LiveMatch]:
        async with self._store.reading() as connection:
            rows = await connection.execute(
                select(
                    live_matches.c.match_id,
                    live_matches.c.pool,
                    live_matches.c.started_us,
                    live_matches.c.match,
                )
                .where(live_matches.c.pool == pool)
                .order_by(live_matches.c.started_us, live_matches.c.match_id)
            )
            return [match_from_row(*row) for row in rows]

    async def record_verdict(self, user_id: str, verdict: Verdict, version: int) -> bool:
        row: _Row = {"user_id": user_id, "verdict": verdict.name, "version": version}
        return await self._keep_newest(verdicts, row)

    async def record_edge(self, user_id: str, other_id: str, kind: str, version: int) -> bool:
        row: _Row = {"user_id": user_id, "other_id": other_id, "kind": kind, "version": version}
        return await self._keep_newest(edges, row)

    async def record_sanction(self, user_id: str, until: datetime | None, version: int) -> bool:
        until_us = micros(until) if until else 0
        row: _Row = {"user_id": user_id, "until_us": until_us, "version": version}
        return await self._keep_newest(sanctions, row)

    @repeating
    async def erase(self, user_id: str) -> None:
        async with self._store.transaction() as tx:
            await lock(tx.connection, GATES, shared=True)
            await erase(tx.connection, user_id)

    @repeating
    async def forget(self, at: datetime) -> int:
        now, old = micros(at), micros(at - ENDS_KEPT)
        forgiven = micros(at - timedelta(seconds=FORGIVEN_AFTER_S))
        stale = (
            delete(meetings).where(meetings.c.until_us <= now),
            delete(credits_given).where(credits_given.c.until_us <= now),
            delete(faults).where(faults.c.last_us <= forgiven, faults.c.until_us <= now),
            moving.finished_moves(at),
            delete(ticket_ends).where(ticket_ends.c.ended_us <= old, ~moving.of_a_move()),
        )
        async with self._store.transaction() as tx:
            await lock(tx.connection, GATES, shared=True)
            return sum([(await tx.connection.execute(one)).rowcount for one in stale])

    @repeating
    async def _keep_newest(self, table: Table, row: _Row) -> bool:
        """Keeps the row unless a newer version is there; False where it is."""
        async with self._store.transaction() as tx:
            await lock(tx.connection, GATES, shared=True)
            adding = upsert(tx.connection, table).values(row)
            keeping = adding.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_=row,
                where=table.c.version <= row["version"],
            )
            return bool((await tx.connection.execute(keeping)).rowcount)


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


@cache
def _asking_credits(of_server: bool) -> Select[str, float, int]:
    given = credits_given.c
    mine = one_of(given.user_id, "users", of_server=of_server)
    return select(given.user_id, given.waited_s, given.until_us).where(mine)


def _end(ticket: Ticket, end: TicketEnd, at: datetime) -> _Row:
    return {
        "ticket_id": ticket.ticket_id,
        "user_id": ticket.user_id,
        "reason": end.value,
        "ended_us": micros(at),
    }


async def _insert_new(connection: AsyncConnection, table: Table, row: _Row) -> bool:
    """Inserts unless the key is there already; True when inserted."""
    adding = upsert(connection, table).values(row).on_conflict_do_nothing()
    return bool((await connection.execute(adding)).rowcount)
