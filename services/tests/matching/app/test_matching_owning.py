"""One owner, others standing by: what happens when a lease ends, is lost or cannot be asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.ownership import LEASE_S
from inyeon.matching.adapters.statements import StatementGrants, StatementPasses
from inyeon.matching.adapters.tables import TABLES
from inyeon.matching.adapters.ticket_log import LogTickets
from inyeon.matching.app.apply import apply_mark
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.hall import VERDICT_PARTITIONS, Hall
from inyeon.matching.app.owning import own_pool
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.news import News
from inyeon.matching.domain.waves import WaveRules
from inyeon.matching.errors import PoolLost
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.store.sql import temporary_store

pytestmark = pytest.mark.unit

SIGNER = Ed25519Signer(Ed25519PrivateKey.generate())
LOOKS = 400


class _Nobody:
    async def tell(self, user_id: str, news: News) -> bool:
        return False


class AwayBook(SqlBook):
    """A book whose store can be away."""

    away = False

    async def hold(
        self, pool: str, replica: str, epoch: int, patience_s: float = 0.0
    ) -> int | None:
        if self.away:
            raise StoreUnavailable("away")
        return await super().hold(pool, replica, epoch, patience_s)


@dataclass
class Replica:
    """A desk under `own_pool`, with work that only waits."""

    desk: Desk
    ended_streams: int = 0
    working: bool = False
    fails_with: BaseException | None = None
    poke: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.floor = Floor({self.desk.pool: self.desk}, self.desk.replica)

    async def work(self) -> None:
        self.working = True
        try:
            await self.poke.wait()
            if self.fails_with is not None:
                raise self.fails_with
        finally:
            self.working = False

    def end_streams(self) -> None:
        self.ended_streams += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(own_pool(self.floor, self.desk, (self.work,), self.end_streams))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


Scene = Callable[[str], Replica]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def replica(clock: ManualClock) -> AsyncIterator[Scene]:
    async with temporary_store(TABLES, clock) as store:
        book = AwayBook(store, timedelta(minutes=10), clock)

        def make(name: str) -> Replica:
            desk = Desk(
                book=book,
                tickets=LogTickets(MemoryLog(clock), name, clock),
                teller=_Nobody(),
                passes=StatementPasses(Ed25519Verifier([SIGNER.public_key])),
                grants=StatementGrants(SIGNER),
                meter=PrometheusMeter(CollectorRegistry(), "main"),
                clock=clock,
                rules=WaveRules(),
                pool="main",
                replica=name,
                new_id=lambda: "id",
                max_waiting=3,
            )
            return Replica(replace(desk, hall=Hall()))

        yield make


async def seen(clock: ManualClock, what: Callable[[], bool], step_s: float = 0.25) -> None:
    """Moves the clock until it is so."""
    for _ in range(LOOKS):
        if what():
            return
        await clock.advance(step_s)
        await asyncio.sleep(0.002)
    pytest.fail("it never came")


async def quiet(clock: ManualClock, for_s: float) -> None:
    """Lets that time pass."""
    for _ in range(int(for_s / 0.25)):
        await clock.advance(0.25)
        await asyncio.sleep(0.002)


async def test_one_owns_the_other_stands_by(replica: Scene, clock: ManualClock) -> None:
    here, there = replica("here"), replica("there")
    async with here.running():
        await seen(clock, lambda: here.working)
        async with there.running():
            await quiet(clock, 3 * LEASE_S)
            assert here.working and not there.working
            assert (here.desk.hall.epoch, there.desk.hall.epoch) == (1, 0)


async def test_a_standby_takes_over_when_the_owner_leaves(
    replica: Scene, clock: ManualClock
) -> None:
    here, there = replica("here"), replica("there")
    async with there.running():
        async with here.running():
            await seen(clock, lambda: here.working or there.working)
            first = here if here.working else there
        if first is here:
            await seen(clock, lambda: there.working)
            assert here.desk.hall.epoch == 0 and here.ended_streams == 1
        assert there.desk.hall.epoch >= 1


async def test_whoever_loses_the_pool_forgets_ends_streams_and_waits(
    replica: Scene, clock: ManualClock
) -> None:
    here = replica("here")
    async with here.running():
        await seen(clock, lambda: here.working)
        book = here.desk.book
        assert isinstance(book, AwayBook)
        book.away = True  # it cannot renew
        await quiet(clock, LEASE_S + 1)
        assert await SqlBook.hold(book, "main", "there", 0) == 2
        book.away = False
        await seen(clock, lambda: here.ended_streams == 1, step_s=0.05)
        assert not here.working and here.desk.hall.epoch == 0
        await seen(clock, lambda: here.working)  # the other one never renewed
        assert here.desk.hall.epoch == 3


async def test_work_that_finds_the_pool_lost_steps_down_too(
    replica: Scene, clock: ManualClock
) -> None:
    here = replica("here")
    async with here.running():
        await seen(clock, lambda: here.working)
        here.fails_with = PoolLost("elsewhere")
        here.poke.set()
        await seen(clock, lambda: here.ended_streams == 1, step_s=0.05)
        here.poke.clear()
        await seen(clock, lambda: here.working)
        assert here.desk.hall.epoch == 2


async def test_work_that_fails_otherwise_ends_the_task(replica: Scene, clock: ManualClock) -> None:
    here = replica("here")
    async with here.running() as task:
        await seen(clock, lambda: here.working)
        here.fails_with = RuntimeError("broken")
        here.poke.set()
        await seen(clock, task.done)
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            task.result()


async def test_a_store_that_is_away_is_waited_for_before_and_during(
    replica: Scene, clock: ManualClock
) -> None:
    here = replica("here")
    book = here.desk.book
    assert isinstance(book, AwayBook)
    book.away = True
    async with here.running():
        await quiet(clock, 3.0)
        assert not here.working
        book.away = False
        await seen(clock, lambda: here.working)
        book.away = True
        await quiet(clock, 2 * LEASE_S)
        assert here.working  # commits ask the store, so nothing can go wrong
        book.away = False
        await quiet(clock, 2.0)
        assert here.working and here.desk.hall.epoch == 1


async def test_nobody_is_paired_while_verdicts_may_be_old(
    replica: Scene, clock: ManualClock
) -> None:
    desk = replica("here").desk
    for partition in range(VERDICT_PARTITIONS):
        await apply_mark(desk, partition, clock.now())
    await run_wave(desk)
    assert not desk.hall.service_away and await desk.book.marks_expected()
    await clock.advance(desk.verdicts_stale.total_seconds() + 1)
    await run_wave(desk)
    assert desk.hall.service_away
    for partition in range(VERDICT_PARTITIONS):
        await apply_mark(desk, partition, clock.now())
    await run_wave(desk)
    assert not desk.hall.service_away
