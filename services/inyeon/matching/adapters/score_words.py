"""Words about scores in the store, and in memory."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.score_rows import MICROSECONDS, what_of, word_of
from inyeon.matching.adapters.tables import score_words
from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.score_words import InForce, Word, after, check, in_force
from inyeon.runtime.store.dialects import lock
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.repeating import repeating

KEPT = 256
"""Words that are read. Sixteen activations can be taken back, and a running experiment is ended by
the next word about its pool, so what counts never lies deeper."""
_NAME = "matching-scores"


class SqlScoreWords:
    """`ScoreWords` in matching's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def about(self, pool: str) -> tuple[Word, ...]:
        async with self._store.reading() as connection:
            return await _about(connection, pool)

    @repeating
    async def say(self, word: Word) -> InForce:
        async with self._store.transaction() as tx:
            await lock(tx.connection, _NAME)  # numbers in the order of commits
            state = in_force(await _about(tx.connection, word.pool))
            check(state, word)
            row = {
                "pool": word.pool,
                "verb": word.verb.value,
                "said_by": word.said_by,
                "said_us": round(word.at_s * MICROSECONDS),
                "what": what_of(word),
                "note": word.note,
            }
            adding = insert(score_words).values(row).returning(score_words.c.number)
            number = (await tx.connection.execute(adding)).scalar_one()
            return after(state, replace(word, number=number))


class MemoryScoreWords:
    """`ScoreWords` of one process that forgets."""

    def __init__(self) -> None:
        self._said: list[Word] = []

    async def about(self, pool: str) -> tuple[Word, ...]:
        return tuple(word for word in self._said if word.pool in (pool, ALL_POOLS))[-KEPT:]

    async def say(self, word: Word) -> InForce:
        state = in_force(await self.about(word.pool))
        check(state, word)
        self._said.append(replace(word, number=len(self._said) + 1))
        return after(state, self._said[-1])


async def _about(connection: AsyncConnection, pool: str) -> tuple[Word, ...]:
    columns = score_words.c
    newest = (
        select(
            columns.number,
            columns.pool,
            columns.verb,
            columns.said_by,
            columns.said_us,
            columns.what,
            columns.note,
        )
        .where(columns.pool.in_([pool, ALL_POOLS]))
        .order_by(columns.number.desc())
        .limit(KEPT)
    )
    rows = (await connection.execute(newest)).all()
    return tuple(word_of(*row) for row in reversed(rows))
