"""Who is in a match with whom, read for everybody who asks at the same time in one query."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import or_, select

from inyeon.moderation.adapters.tables import matches
from inyeon.moderation.app.ports import LiveMatch
from inyeon.runtime.store.dialects import is_postgresql, one_of
from inyeon.runtime.store.port import Store

AT_ONCE = 500  # of one query: SQLite takes 999 parameters in its oldest versions, each counts twice

_Answer = asyncio.Future[LiveMatch | None]


class MatchReader:
    """Every change of a verdict asks. One query runs at a time; who asks meanwhile is in the next,
    so an answer is never older than its question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, _Answer] = {}
        self._reading: asyncio.Task[None] | None = None

    async def of(self, user_id: str) -> LiveMatch | None:
        """The user's newest live match. Raises StoreBusy, StoreUnavailable."""
        if user_id not in self._waiting:
            self._waiting[user_id] = asyncio.get_running_loop().create_future()
        answer = self._waiting[user_id]
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await asyncio.shield(answer)

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                asked = dict(list(self._waiting.items())[:AT_ONCE])
                for user_id in asked:
                    del self._waiting[user_id]
                await self._answer(asked)
        finally:
            self._reading = None

    async def _answer(self, asked: dict[str, _Answer]) -> None:
        try:
            found = await self._newest(asked)
        except BaseException as error:
            for answer in asked.values():
                answer.add_done_callback(_retrieve)
                if isinstance(error, Exception):
                    answer.set_exception(error)
                else:
                    answer.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for user_id, answer in asked.items():
                answer.set_result(found.get(user_id))

    async def _newest(self, users: Collection[str]) -> dict[str, LiveMatch]:
        async with self._store.reading(once=True) as connection:
            live = _live(is_postgresql(connection))
            rows = (await connection.execute(live, {"users": sorted(users)})).all()
        found: dict[str, LiveMatch] = {}
        for row in rows:
            found[row.user_a] = LiveMatch(row.match_id, row.user_b)
            found[row.user_b] = LiveMatch(row.match_id, row.user_a)
        return found


@cache
def _live(of_server: bool) -> Any:
    """Made once: making it takes as long as running it."""
    sides = (matches.c.user_a, matches.c.user_b)
    mine = or_(*[one_of(side, "users", of_server=of_server) for side in sides])
    return select(matches).where(matches.c.ended_at.is_(None), mine).order_by(matches.c.version)


def _retrieve(answer: _Answer) -> None:
    """Whoever waits hears of a failure; nobody may be waiting any more."""
    if not answer.cancelled():
        answer.exception()
