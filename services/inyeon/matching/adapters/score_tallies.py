"""What windows of experiments showed, in the store, and in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.tables import score_windows
from inyeon.matching.domain.tallies import Tally
from inyeon.runtime.store.dialects import lock, upsert
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.repeating import repeating


class SqlScoreTallies:
    """`ScoreTallies` in matching's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @repeating
    async def add(self, experiment: int, pool: str, tallies: Mapping[int, Tally]) -> None:
        async with self._store.transaction() as tx:
            await lock(tx.connection, f"matching-scores {experiment} {pool}")
            known = await _of(tx.connection, experiment, pool)
            adding = upsert(tx.connection, score_windows)
            newest = {name: adding.excluded[name] for name in ("tickets", "matched", "reported")}
            statement = adding.on_conflict_do_update(
                index_elements=["experiment", "pool", "number"],
                set_=newest | {"waits": adding.excluded.waits},
            )
            rows = [
                {"experiment": experiment, "pool": pool, "number": number}
                | _row(known.get(number, Tally()).plus(tally))
                for number, tally in sorted(tallies.items())
            ]
            await tx.connection.execute(statement, rows)

    async def of(self, experiment: int, pool: str) -> dict[int, Tally]:
        async with self._store.reading() as connection:
            return await _of(connection, experiment, pool)


class MemoryScoreTallies:
    """`ScoreTallies` of one process that forgets."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], dict[int, Tally]] = {}

    async def add(self, experiment: int, pool: str, tallies: Mapping[int, Tally]) -> None:
        kept = self._kept.setdefault((experiment, pool), {})
        for window, tally in tallies.items():
            kept[window] = kept.get(window, Tally()).plus(tally)

    async def of(self, experiment: int, pool: str) -> dict[int, Tally]:
        return dict(self._kept.get((experiment, pool), {}))


def _row(tally: Tally) -> dict[str, Any]:
    return {
        "tickets": tally.tickets,
        "matched": tally.matched,
        "reported": tally.reported,
        "waits": json.dumps(sorted(tally.waits.items())),
    }


async def _of(connection: AsyncConnection, experiment: int, pool: str) -> dict[int, Tally]:
    columns = score_windows.c
    rows = await connection.execute(
        select(
            columns.number, columns.tickets, columns.matched, columns.reported, columns.waits
        ).where(columns.experiment == experiment, columns.pool == pool)
    )
    return {
        number: Tally(tickets, matched, reported, dict(json.loads(waits)))
        for number, tickets, matched, reported, waits in rows
    }
