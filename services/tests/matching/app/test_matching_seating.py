"""Seats, shares and what is told to every desk of a replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from inyeon.matching.adapters.ownership import LEASE_S
from inyeon.matching.adapters.seats import SqlSeats
from inyeon.matching.app.admit import admit
from inyeon.matching.app.floor import SETTLED_S, Floor, take_edge, take_mark, take_verdict
from inyeon.matching.app.hall import VERDICT_PARTITIONS
from inyeon.matching.app.heartbeat import heartbeat
from inyeon.matching.app.owning import own_pool, take_over
from inyeon.matching.app.seating import Seats, take_seat
from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.news import MatchOver, Paused
from inyeon.matching.domain.people import AgeBand, Gender, Person, Verdict
from inyeon.matching.errors import SeatLost
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import StoreUnavailable

pytestmark = pytest.mark.unit

LOOKS = 600
STEP_S = 0.25
FOR_THE_STORE_S = 0.004  # a renewal is done long before 4 s of the test's clock have passed


async def seen(clock: ManualClock, what: Any, step_s: float = STEP_S) -> None:
    """Moves the clock until it is so."""
    for _ in range(LOOKS):
        if what():
            return
        await clock.advance(step_s)
        await asyncio.sleep(FOR_THE_STORE_S)
    pytest.fail("it never came")


async def quiet(clock: ManualClock, for_s: float) -> None:
    """Lets that time pass."""
    for _ in range(int(for_s / STEP_S)):
        await clock.advance(STEP_S)
        await asyncio.sleep(FOR_THE_STORE_S)


@dataclass
class FlakySeats(SqlSeats):
    """Seats whose store can be away."""

    store: Any
    clock: ManualClock
    away: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.store, self.clock)

    async def hold(self, seat: int, replica: str, epoch: int) -> int | None:
        if self.away:
            raise StoreUnavailable("away")
        return await super().hold(seat, replica, epoch)


@dataclass
class House:
    """A replica: a floor, a seat, and work that only waits or fails."""

    floor: Floor
    seats: Seats
    clock: ManualClock
    worked_at: list[int] = field(default_factory=list)
    fails: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, seat: int) -> None:
        self.worked_at.append(seat)
        await self.fails.wait()
        self.fails.clear()
        raise SeatLost("somebody else reads in its name")

    async def own(self, pool: str) -> None:
        async def idle() -> None:
            await asyncio.Event().wait()

        await own_pool(self.floor, self.floor.desks[pool], (idle,), lambda: None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        pools = [lambda seat, pool=pool: self.own(pool) for pool in self.floor.desks]
        work = take_seat(self.seats, self.floor, self.clock, (self.work, *pools))
        task = asyncio.create_task(work)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def house(scene: Any, name: str, *pools: str) -> House:
    first = replace(scene.another(), replica=name)
    desks = {pool: first.beside(pool) for pool in pools}
    return House(Floor(desks, name), FlakySeats(scene.store, scene.clock), scene.clock)


async def test_two_replicas_sit_on_two_seats_and_know_of_each_other(scene: Any) -> None:
    here, there = house(scene, "here", "a"), house(scene, "there", "a")
    async with here.running(), there.running():
        await seen(scene.clock, lambda: here.floor.live == there.floor.live == ("here", "there"))
        assert sorted(here.worked_at + there.worked_at) == [0, 1]
        await seen(scene.clock, lambda: here.floor.owned() + there.floor.owned() == ["a"])


async def test_a_dead_ones_seat_is_taken_and_its_pools_are_owned_anew(scene: Any) -> None:
    here, there = house(scene, "here", "a", "b"), house(scene, "there", "a", "b")
    async with here.running():
        await seen(scene.clock, lambda: len(here.floor.owned()) == 2)
        assert isinstance(here.seats, FlakySeats)
    async with there.running():
        await seen(scene.clock, lambda: len(there.floor.owned()) == 2)
        assert there.worked_at == [0] and there.floor.live == ("there",)


async def test_who_loses_the_seat_ends_all_work_and_sits_down_again(scene: Any) -> None:
    here = house(scene, "here", "a")
    async with here.running():
        await seen(scene.clock, lambda: here.floor.owned() == ["a"])
        epoch = here.floor.desks["a"].hall.epoch
        here.fails.set()
        await seen(scene.clock, lambda: len(here.worked_at) == 2)
        await seen(scene.clock, lambda: here.floor.owned() == ["a"])
        assert here.floor.desks["a"].hall.epoch > epoch


async def test_a_seat_that_another_took_while_this_one_slept_is_lost(scene: Any) -> None:
    here = house(scene, "here", "a")
    assert isinstance(here.seats, FlakySeats)
    async with here.running():
        await seen(scene.clock, lambda: here.floor.seated)
        here.seats.away = True
        await quiet(scene.clock, LEASE_S + 2)
        assert await SqlSeats.hold(here.seats, 0, "there", 0) == 2
        here.seats.away = False
        await seen(scene.clock, lambda: here.worked_at == [0, 1])


async def test_a_store_that_is_away_is_waited_for(scene: Any) -> None:
    here = house(scene, "here", "a")
    assert isinstance(here.seats, FlakySeats)
    here.seats.away = True
    async with here.running():
        await quiet(scene.clock, 5)
        assert not here.worked_at
        here.seats.away = False
        await seen(scene.clock, lambda: here.worked_at == [0])


async def test_a_replica_that_comes_gets_its_share_and_then_nothing_moves(scene: Any) -> None:
    pools = ("a", "b", "c", "d")
    here, there = house(scene, "here", *pools), house(scene, "there", *pools)
    async with here.running():
        await seen(scene.clock, lambda: len(here.floor.owned()) == 4)
        async with there.running():
            await seen(scene.clock, lambda: len(there.floor.owned()) == 2)
            assert sorted(here.floor.owned() + there.floor.owned()) == list(pools)
            before = there.floor.owned()
            await quiet(scene.clock, 4 * SETTLED_S)
            assert there.floor.owned() == before
        await seen(scene.clock, lambda: len(here.floor.owned()) == 4)


async def test_a_pool_that_nobody_else_can_own_is_given_up_once(scene: Any) -> None:
    here, other = house(scene, "here", "a", "b"), house(scene, "there", "c")
    async with here.running(), other.running():
        await seen(scene.clock, lambda: len(here.floor.owned()) == 2)
        await quiet(scene.clock, 60)
        await seen(scene.clock, lambda: len(here.floor.owned()) == 2)
        epochs = sum(desk.hall.epoch for desk in here.floor.desks.values())
        assert epochs == 3, "one of the two was taken twice"


def wish(scene: Any) -> Any:
    return next(iter(scene.desk.hall.pool)).wish


async def come(scene: Any, desk: Any, user: str, wish: Any) -> None:
    await heartbeat(desk, user, "", True, scene.signed(user))
    await seek(desk, Person(user, AgeBand.ADULT, "US", Gender.OTHER), wish, "s")
    await admit(desk, list(desk.hall.on_the_way.values()))


async def two_desks(scene: Any) -> Floor:
    """Main with ana in it, and another pool with bob and dora."""
    await scene.person("ana")
    other = scene.desk.beside("other")
    await take_over(other, await other.book.hold("other", "here", 0) or 0)
    for user in ("bob", "dora"):
        await come(scene, other, user, wish(scene))
    scene.teller.heard.clear()
    return Floor({"main": scene.desk, "other": other}, "here")


async def test_a_verdict_reaches_the_desk_where_the_person_is(scene: Any) -> None:
    floor = await two_desks(scene)
    other = floor.desks["other"]
    await take_verdict(floor, "bob", Verdict.UNSURE, 1)
    await run_wave(other)
    assert any(isinstance(one, Paused) for one in scene.teller.take("bob"))
    assert not other.hall.meetings.of_user("dora")
    await take_verdict(floor, "nobody", Verdict.PROTECT, 1)
    facts = await other.book.facts(["nobody"], scene.clock.now())
    assert facts["nobody"].verdict is Verdict.PROTECT


async def test_a_block_ends_the_match_at_whichever_desk(scene: Any) -> None:
    floor = await two_desks(scene)
    await run_wave(floor.desks["other"])
    assert floor.desks["other"].hall.meetings.of_user("bob")
    await take_edge(floor, "dora", "bob", "BLOCK", 1)
    over = [one for one in scene.teller.take("bob") if isinstance(one, MatchOver)]
    assert [one.reason for one in over] == [EndReason.REPORTED]


async def test_marks_count_for_every_pool(scene: Any) -> None:
    floor = await two_desks(scene)
    for partition in range(VERDICT_PARTITIONS):
        await take_mark(floor, partition, scene.clock.now())
    for desk in floor.desks.values():
        assert desk.hall.freshness.age(scene.clock.now()) is not None
    with pytest.raises(ValueError, match="partition"):
        await take_mark(floor, VERDICT_PARTITIONS, scene.clock.now())


@pytest.mark.parametrize("what", ["verdict", "sanction", "block"])
async def test_who_takes_a_pool_over_ends_what_must_not_be(scene: Any, what: str) -> None:
    match = (await scene.matched()).match
    book, user = scene.desk.book, match.first.user_id
    if what == "verdict":
        await book.record_verdict(user, Verdict.PROTECT, 1)
    elif what == "sanction":
        until = scene.clock.now().replace(year=2030)
        await book.record_sanction(user, until, 1)
    else:
        await book.record_edge(match.second.user_id, user, "BLOCK", 1)
    after = scene.another()
    await take_over(after, 2)
    assert len(after.hall.meetings) == 0
    wanted = EndReason.REPORTED if what == "block" else EndReason.POLICY
    assert [one.reason for one in scene.teller.take(user)] == [wanted]


async def test_who_takes_a_pool_over_keeps_what_may_be(scene: Any) -> None:
    await scene.matched()
    after = scene.another()
    await take_over(after, 2)
    assert len(after.hall.meetings) == 1
