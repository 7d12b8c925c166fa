"""Moving from pool to pool: one ticket ends, another one waits, and everybody can be found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from inyeon.matching.adapters.tables import moved_users
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.adapters.wire import ticket_from
from inyeon.matching.app.admit import admit
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.overflow import overflow, room, whereabouts
from inyeon.matching.app.owning import take_over
from inyeon.matching.app.wave import run_wave
from inyeon.matching.data import COUNTRIES, POOLS
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.news import Matched
from inyeon.matching.domain.overflowing import Overflow
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import TICKETS
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

RULES = Overflow(read_territories(COUNTRIES, POOLS), after_s=60.0)
HOME, NEXT = "north-america", "europe"  # the people of these tests are of the United States


class Roomy:
    """Pools with so much room, each."""

    def __init__(self, left: int = 1_000) -> None:
        self.left = left
        self.asked: list[str] = []

    async def room(self, pool: str) -> int:
        self.asked.append(pool)
        return self.left


async def desks(scene: Any) -> tuple[Desk, Desk]:
    """A home with ana and nobody in it, and its neighbour."""
    both = []
    for pool in (HOME, NEXT):
        desk = replace(scene.desk.beside(pool), overflow=RULES)
        await take_over(desk, await desk.book.hold(pool, "here", 0) or 0)
        desk.hall.rebuilt.set()
        both.append(desk)
    scene.desk = both[0]
    await scene.person("ana")
    return both[0], both[1]


async def tickets_in_log(scene: Any) -> list[Ticket]:
    """What the relay has published of the store's tickets, and not more."""
    relay = OutboxRelay(scene.store, scene.log, scene.clock, owner="relay")
    await relay.drain()
    reader = await scene.log.read_all([TICKETS])
    records: list[Record] = list(await reader.poll(500, 0.0))
    await reader.close()
    waiting = [one for one in records if is_type(one, events_pb2.TicketWaiting)]
    return [ticket_from(decode(one, events_pb2.TicketWaiting)) for one in waiting]


async def moved(scene: Any) -> tuple[Desk, Desk, Ticket]:
    """Ana after her move; her new ticket has not arrived."""
    home, neighbour = await desks(scene)
    await scene.clock.advance(61.0)
    await scene.beat("ana")
    await overflow(home, Roomy())
    (ticket,) = [one for one in await tickets_in_log(scene) if one.pool == NEXT]
    return home, neighbour, ticket


async def test_who_has_waited_long_waits_on_in_the_next_pool_with_the_time_waited(
    scene: Any,
) -> None:
    home, neighbour = await desks(scene)
    before = home.hall.pool.of_user("ana")
    await scene.clock.advance(59.0)
    await scene.beat("ana")
    await overflow(home, Roomy())
    assert home.hall.pool.of_user("ana") is before
    await scene.clock.advance(2.0)
    await overflow(home, Roomy())
    assert home.hall.pool.of_user("ana") is None
    (ticket,) = [one for one in await tickets_in_log(scene) if one.pool == NEXT]
    await admit(neighbour, [ticket])
    look = neighbour.hall.pool.look("ana", scene.clock.monotonic())
    assert look.waited_s == pytest.approx(61.0, abs=0.1)
    assert before is not None and ticket.ticket_id != before.ticket_id
    assert ticket.person == before.person
    assert ticket.wish.interests.data == before.wish.interests.data
    assert (await home.book.look((), [before.ticket_id], home.clock.now()))[1] == {before.ticket_id}


async def test_a_paused_ticket_stays(scene: Any) -> None:
    home, _ = await desks(scene)
    await scene.beat("ana", present=False)
    await scene.clock.advance(15.0)
    await scene.beat("ana", present=False)
    await run_wave(home)
    await scene.clock.advance(25.0)
    await scene.beat("ana", present=False)
    await scene.clock.advance(25.0)
    await overflow(home, Roomy())
    assert home.hall.pool.of_user("ana") is not None


async def test_of_move_and_cancel_the_first_wins(scene: Any) -> None:
    home, neighbour, ticket = await moved(scene)
    await cancel(home, "ana")  # nothing is here any more
    await admit(neighbour, [ticket])
    assert neighbour.hall.pool.of_user("ana") is not None
    await cancel(neighbour, "ana")
    assert not await neighbour.book.move_ticket(
        ticket, replace(ticket, ticket_id="late", pool=HOME), HOME, "here", scene.clock.now()
    )
    assert await home.book.place_of("ana") is None


async def test_a_move_that_was_not_first_changes_nothing_here(scene: Any) -> None:
    home, _ = await desks(scene)
    ticket = home.hall.pool.of_user("ana")
    assert ticket is not None
    await home.book.end_ticket(ticket, TicketEnd.EXPIRED, scene.clock.now())
    await scene.clock.advance(61.0)
    await scene.beat("ana")
    await overflow(home, Roomy())
    assert not home.hall.away and len(await tickets_in_log(scene)) == 1


async def test_her_device_is_sent_after_her_and_home_again(scene: Any) -> None:
    home, neighbour, ticket = await moved(scene)
    assert await whereabouts(home, "ana", "US") == NEXT
    assert await whereabouts(neighbour, "ana", "US") is None, "her ticket is on its way there"
    await admit(neighbour, [ticket])
    assert await whereabouts(neighbour, "ana", "US") is None
    assert await whereabouts(home, "bob", "US") is None, "he was never moved"
    await cancel(neighbour, "ana")
    assert await whereabouts(neighbour, "ana", "US") == HOME
    assert await whereabouts(home, "ana", "US") is None
    assert "ana" not in home.hall.away


async def test_who_meets_in_another_pool_is_found_there_and_home_afterwards(scene: Any) -> None:
    home, neighbour, ticket = await moved(scene)
    await admit(neighbour, [ticket])
    scene.desk = neighbour
    await scene.beat("ana")
    other = replace(ticket, ticket_id="other", person=replace(ticket.person, user_id="bob"))
    await scene.beat("bob")
    await admit(neighbour, [other])
    await run_wave(neighbour)
    (told,) = [one for one in scene.teller.take("ana") if isinstance(one, Matched)]
    after = replace(home, hall=type(home.hall)())
    await take_over(after, 2)
    assert "ana" in after.hall.away, "a new owner of her home knows"
    assert await whereabouts(after, "ana", "US") == NEXT
    await neighbour.book.forget(scene.clock.now() + timedelta(hours=2))
    assert await whereabouts(after, "ana", "US") == NEXT, "what still matters is kept"
    await neighbour.book.end_match(
        told.match, EndReason.LEFT, "bob", scene.clock.now(), frozenset()
    )
    assert await whereabouts(after, "ana", "US") is None


async def test_finished_moves_are_forgotten_before_the_ends_that_say_so(scene: Any) -> None:
    home, neighbour, ticket = await moved(scene)
    await neighbour.book.forget(scene.clock.now() + timedelta(hours=2))
    assert await home.book.place_of("ana") == NEXT, "she waits still"
    await neighbour.book.end_ticket(ticket, TicketEnd.EXPIRED, scene.clock.now())
    await neighbour.book.forget(scene.clock.now() + timedelta(hours=2))
    async with scene.store.reading() as connection:
        assert await connection.scalar(select(moved_users.c.user_id)) is None


async def test_without_rules_nobody_moves(scene: Any) -> None:
    await scene.person("ana")
    await scene.clock.advance(10_000.0)
    await overflow(scene.desk, Roomy())
    assert await whereabouts(scene.desk, "ana", "KR") is None
    assert scene.desk.hall.pool.of_user("ana") is not None


async def test_nobody_moves_into_a_pool_that_takes_nobody(scene: Any) -> None:
    home, _ = await desks(scene)
    await scene.clock.advance(61.0)
    await scene.beat("ana")
    await overflow(home, full := Roomy(0))
    assert full.asked == [NEXT] and home.hall.pool.of_user("ana") is not None
    await overflow(home, Roomy(1))
    assert home.hall.pool.of_user("ana") is None


async def test_no_more_move_than_the_next_pool_takes_and_it_is_asked_once(scene: Any) -> None:
    home, _ = await desks(scene)
    await scene.person("bob")
    await scene.person("cid")
    await scene.clock.advance(61.0)
    for user in ("ana", "bob", "cid"):
        await scene.beat(user)
    await overflow(home, rooms := Roomy(2))
    assert rooms.asked == [NEXT] and len(home.hall.pool) == 1
    assert len(await tickets_in_log(scene)) == 5


@pytest.mark.parametrize("mode", PoolMode)
async def test_a_pool_takes_as_many_as_there_is_room_for_while_it_is_open(
    scene: Any, mode: PoolMode
) -> None:
    home, _ = await desks(scene)
    home.hall.mode = mode
    assert room(home) == (home.max_waiting - 1 if mode is PoolMode.OPEN else 0)
    assert room(replace(home, max_waiting=1)) == 0
