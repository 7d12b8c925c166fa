"""One contract for where sessions are kept: the twin in memory and the table in a store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import NotAllowed, SessionSuperseded
from inyeon.runtime.store.sql import temporary_store
from inyeon.runtime.streams.port import SessionInfo
from inyeon.runtime.streams.sessions import MemorySessions, OpenedSession, SessionStore
from inyeon.runtime.streams.sessions_sql import StoreSessions, session_tables

pytestmark = pytest.mark.contract


@dataclass
class Kept:
    """A session store and the transactions it takes part in."""

    sessions: SessionStore
    clock: ManualClock
    transaction: Any


@asynccontextmanager
async def _no_transaction() -> AsyncIterator[None]:
    yield


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def kept(engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    clock = ManualClock()
    if engine == "memory":
        yield Kept(MemorySessions(clock), clock, _no_transaction)
        return
    tables = MetaData()
    table = session_tables(tables)
    open_store = request.getfixturevalue("open_store")
    async with open_store(tables, clock) as store:
        yield Kept(StoreSessions(store, table, clock), clock, store.transaction)


def info(session_id: str, epoch: int, user_id: str = "u1") -> SessionInfo:
    return SessionInfo("observe", user_id, "c1", session_id, epoch, False, 0, "test")


async def test_a_new_session_starts_at_zero(kept: Kept) -> None:
    opened = await kept.sessions.open("observe", "u1", "c1", "s1")
    assert opened == OpenedSession(epoch=1, acknowledged=0, last_sent=0, resumed=False)


async def test_a_session_is_resumed_with_what_is_known(kept: Kept) -> None:
    await kept.sessions.open("observe", "u1", "c1", "s1")
    await kept.sessions.acknowledge(info("s1", 1), 5)
    await kept.sessions.leave(info("s1", 1), 9)
    opened = await kept.sessions.open("observe", "u1", "c1", "s1")
    assert opened == OpenedSession(epoch=2, acknowledged=5, last_sent=9, resumed=True)


async def test_epochs_rise_over_all_sessions_of_a_user(kept: Kept) -> None:
    first = await kept.sessions.open("observe", "u1", "c1", "s1")
    second = await kept.sessions.open("observe", "u1", "c2", "s2")
    other = await kept.sessions.open("observe", "u2", "c3", "s3")
    elsewhere = await kept.sessions.open("seek", "u1", "c1", "s1")
    assert [first.epoch, second.epoch, other.epoch, elsewhere.epoch] == [1, 2, 1, 1]


async def test_somebody_elses_session_is_refused(kept: Kept) -> None:
    await kept.sessions.open("observe", "u1", "c1", "s1")
    with pytest.raises(NotAllowed) as caught:
        await kept.sessions.open("observe", "u2", "c1", "s1")
    assert (caught.value.reason, caught.value.field) == (
        "SESSION_FOREIGN",
        "control.open.session_id",
    )
    assert (await kept.sessions.open("observe", "u1", "c1", "s1")).resumed


async def test_an_old_epoch_writes_nothing(kept: Kept) -> None:
    await kept.sessions.open("observe", "u1", "c1", "s1")
    await kept.sessions.open("observe", "u1", "c1", "s1")
    with pytest.raises(SessionSuperseded):
        await kept.sessions.acknowledge(info("s1", 1), 5)
    await kept.sessions.leave(info("s1", 1), 9)
    opened = await kept.sessions.open("observe", "u1", "c1", "s1")
    assert (opened.acknowledged, opened.last_sent) == (0, 0)


async def test_many_sessions_in_one_transaction(kept: Kept) -> None:
    for name in ("s1", "s2", "s3"):
        await kept.sessions.open("observe", "u1", "c1", name)
    await kept.sessions.open("observe", "u1", "c1", "s2")
    items = [(info("s1", 1), 3), (info("s2", 2), 3), (info("s3", 3), 7), (info("gone", 1), 1)]
    async with kept.transaction() as tx:
        assert await kept.sessions.record(tx, []) == frozenset()
        lost = await kept.sessions.record(tx, items)
    assert lost == {info("s2", 2), info("gone", 1)}
    states = [await kept.sessions.open("observe", "u1", "c1", name) for name in ("s1", "s2", "s3")]
    assert [state.acknowledged for state in states] == [3, 0, 7]


async def test_progress_never_goes_back(kept: Kept) -> None:
    await kept.sessions.open("observe", "u1", "c1", "s1")
    mine = info("s1", 1)
    await kept.sessions.acknowledge(mine, 5)
    await kept.sessions.acknowledge(mine, 2)
    async with kept.transaction() as tx:
        assert not await kept.sessions.record(tx, [(mine, 9), (mine, 7)])
    await kept.sessions.leave(mine, 6)
    await kept.sessions.leave(mine, 4)
    opened = await kept.sessions.open("observe", "u1", "c1", "s1")
    assert (opened.acknowledged, opened.last_sent) == (9, 6)


async def test_old_sessions_are_forgotten(kept: Kept) -> None:
    await kept.sessions.open("observe", "u1", "c1", "old")
    await kept.clock.advance(3600)
    await kept.sessions.open("observe", "u1", "c1", "new")
    assert await kept.sessions.prune(kept.clock.now() - timedelta(minutes=30)) == 1
    assert (await kept.sessions.open("observe", "u1", "c1", "new")).resumed
    again = await kept.sessions.open("observe", "u1", "c1", "old")
    assert (again.resumed, again.epoch) == (False, 4), "epochs outlive sessions"


async def test_a_rolled_back_transaction_keeps_nothing() -> None:
    tables, clock = MetaData(), ManualClock()
    table = session_tables(tables)
    async with temporary_store(tables, clock) as store:
        sessions = StoreSessions(store, table, clock)
        await sessions.open("observe", "u1", "c1", "s1")
        with pytest.raises(RuntimeError, match="on purpose"):
            async with store.transaction() as tx:
                await sessions.record(tx, [(info("s1", 1), 5)])
                raise RuntimeError("on purpose")
        assert (await sessions.open("observe", "u1", "c1", "s1")).acknowledged == 0
