"""Session vectors in matching's store, so that a restart and another owner of a pool know them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import delete, select
from sqlalchemy.engine import Row

from inyeon.matching.adapters.tables import session_vectors
from inyeon.matching.domain.interests import Encoding, Space
from inyeon.matching.domain.session_vectors import SessionVector
from inyeon.runtime.store.dialects import upsert
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.repeating import repeating

SUMS = 3
"""Numbers of a row behind its total: counted, talks, logs."""
CHUNK = 500  # names in one statement; SQLite takes 32,766, PostgreSQL 65,535

_columns = session_vectors.c


class SqlSessionShelf:
    """`SessionShelf` on matching's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @repeating
    async def keep(self, vectors: Mapping[str, SessionVector]) -> None:
        if not vectors:
            return
        rows = [_to_row(user_id, vector) for user_id, vector in sorted(vectors.items())]
        async with self._store.transaction() as tx:
            adding = upsert(tx.connection, session_vectors)
            newer = {name: adding.excluded[name] for name in ("at_us", "space", "sums")}
            statement = adding.on_conflict_do_update(
                index_elements=["user_id"],
                set_=newer,
                where=_columns.at_us <= adding.excluded.at_us,
            )
            await tx.connection.execute(statement, rows)

    async def of(self, users: Sequence[str]) -> dict[str, SessionVector]:
        found: dict[str, SessionVector] = {}
        async with self._store.reading() as connection:
            for start in range(0, len(users), CHUNK):
                mine = _columns.user_id.in_(users[start : start + CHUNK])
                rows = await connection.execute(select(session_vectors).where(mine))
                found |= {row.user_id: _from_row(row) for row in rows}
        return found

    async def newest(self, most: int, since_s: float) -> dict[str, SessionVector]:
        asking = (
            select(session_vectors)
            .where(_columns.at_us >= _micros(since_s))
            .order_by(_columns.at_us.desc(), _columns.user_id)
            .limit(most)
        )
        async with self._store.reading(once=True) as connection:
            rows = (await connection.execute(asking)).all()
        return {row.user_id: _from_row(row) for row in reversed(rows)}

    @repeating
    async def forget(self, user_id: str) -> None:
        async with self._store.transaction() as tx:
            await tx.connection.execute(delete(session_vectors).where(_columns.user_id == user_id))

    @repeating
    async def forget_before(self, since_s: float) -> None:
        async with self._store.transaction() as tx:
            await tx.connection.execute(
                delete(session_vectors).where(_columns.at_us < _micros(since_s))
            )


def _to_row(user_id: str, vector: SessionVector) -> dict[str, Any]:
    space = vector.space
    names = [space.model, space.version, space.dims, int(space.encoding), space.scale]
    sums = np.array([*vector.total, vector.counted, vector.talks, vector.logs], "<f8")
    return {
        "user_id": user_id,
        "at_us": _micros(vector.at_s),
        "space": json.dumps(names),
        "sums": sums.tobytes(),
    }


def _from_row(row: Row[Any]) -> SessionVector:
    model, version, dims, encoding, scale = json.loads(row.space)
    numbers = np.frombuffer(row.sums, "<f8")
    counted, talks, logs = numbers[-SUMS:].tolist()
    space = Space(model, version, dims, Encoding(encoding), scale)
    return SessionVector(space, numbers[:-SUMS].copy(), counted, talks, logs, row.at_us / 1e6)


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
