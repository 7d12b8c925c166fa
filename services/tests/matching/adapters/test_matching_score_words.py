"""Words about scores, in memory and on both databases: kept in order, understood again, refused
where they make no sense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from sqlalchemy import insert

from inyeon.matching.adapters.score_tallies import MemoryScoreTallies, SqlScoreTallies
from inyeon.matching.adapters.score_words import MemoryScoreWords, SqlScoreWords
from inyeon.matching.adapters.tables import TABLES, score_words
from inyeon.matching.app.score_ports import ScoreTallies, ScoreWords
from inyeon.matching.domain.guarding import Guardrail
from inyeon.matching.domain.modes import ALL_POOLS
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.score_words import Experiment, Verb, Word, WordRefused, in_force
from inyeon.matching.domain.switchback import Plan
from inyeon.matching.domain.tallies import Tally
from inyeon.runtime.store.migrating import migrations_of
from inyeon.runtime.store.sql import SqlStore, temporary_store

pytestmark = pytest.mark.contract

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
B = ScoreModel("b", 0.5, {"interests": 1.0}, "spring")
C = ScoreModel("c", 0.75, {"waiting": 0.125})
ACTIVATE = Word(Verb.ACTIVATE, "main", "op", 1_767_225_600.25, model=B, note="why not")
TRIAL = Experiment(
    Plan("t", ("b", "c"), 1_767_225_600.5, 60.0, 3.25), (B, C), 9, (Guardrail("match_rate", 0.1),)
)


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def words(request: pytest.FixtureRequest, engine: str) -> AsyncIterator[ScoreWords]:
    if engine == "memory":
        yield MemoryScoreWords()
        return
    open_store: OpenStore = request.getfixturevalue("open_store")
    async with open_store(TABLES, migrations=migrations_of("matching")) as store:
        yield SqlScoreWords(store)


async def test_what_was_said_is_read_again_by_every_pool_that_it_is_about(
    words: ScoreWords,
) -> None:
    state = await words.say(ACTIVATE)
    assert state.activations == (B,)
    await words.say(replace(ACTIVATE, pool="other", model=C))
    everywhere = replace(ACTIVATE, pool=ALL_POOLS, model=C)
    await words.say(everywhere)
    state = await words.say(Word(Verb.START, "main", "op", 0.0, experiment=TRIAL))
    assert state.experiment is not None and state.experiment.number == 4
    about = await words.about("main")
    assert [replace(word, number=0) for word in about[:2]] == [ACTIVATE, everywhere]
    assert [word.number for word in about] == [1, 3, 4]
    assert about[2].experiment == TRIAL
    assert in_force(about) == state
    assert in_force(await words.about("new")).activations == (C,), "all pools"


async def test_what_makes_no_sense_is_refused_and_not_kept(words: ScoreWords) -> None:
    with pytest.raises(WordRefused, match="no version was activated"):
        await words.say(Word(Verb.ROLL_BACK, "main", "op", 0.0))
    assert await words.about("main") == ()


async def test_of_two_at_once_one_is_second(words: ScoreWords) -> None:
    start = Word(Verb.START, "main", "op", 0.0, experiment=TRIAL)
    said = await asyncio.gather(words.say(start), words.say(start), return_exceptions=True)
    assert sorted(isinstance(one, WordRefused) for one in said) == [False, True]
    assert len(await words.about("main")) == 1


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("activate", '{"model": {"version": "b", "meeting": 1, "weights": {"charm": 1}}}'),
        ("activate", "{"),
        ("activate", "[]"),
        ("praise", "{}"),
        ("start", '{"experiment": {"name": "t"}}'),
        ("start", '{"experiment": 1}'),
    ],
)
async def test_a_row_of_another_version_changes_nothing_and_is_named(verb: str, what: str) -> None:
    row = {"pool": "main", "verb": verb, "said_by": "op", "said_us": 1, "what": what, "note": ""}
    async with temporary_store(TABLES) as store:
        words = SqlScoreWords(store)
        await words.say(ACTIVATE)
        async with store.transaction() as tx:
            await tx.connection.execute(insert(score_words).values(row))
        state = in_force(await words.about("main"))
        assert state.activations == (B,) and state.unreadable.startswith("word 2: ")


async def test_what_windows_showed_is_added_up(request: pytest.FixtureRequest, engine: str) -> None:
    async def check(tallies: ScoreTallies) -> None:
        first, more = Tally(2, 1, 0, {3: 1, 7: 1}), Tally(1, 1, 1, {7: 1, 9: 0})
        await tallies.add(4, "main", {0: first})
        await asyncio.gather(*(tallies.add(4, "main", {0: more, 1: first}) for _ in range(2)))
        await tallies.add(4, "other", {0: first})
        kept = await tallies.of(4, "main")
        assert kept[0] == first.plus(more).plus(more) and kept[1] == first.plus(first)
        assert await tallies.of(5, "main") == {}

    if engine == "memory":
        return await check(MemoryScoreTallies())
    open_store: OpenStore = request.getfixturevalue("open_store")
    async with open_store(TABLES, migrations=migrations_of("matching")) as store:
        return await check(SqlScoreTallies(store))
