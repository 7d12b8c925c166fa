"""Two sides find each other whoever comes first, relay, and end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from inyeon.gateway.app.signalling import (
    Handed,
    Heard,
    Notice,
    PartnerIsGone,
    PartnerIsHere,
    Relayed,
    SignallingSide,
)
from inyeon.gateway.domain.calls import CallRight, CallSide
from inyeon.gateway.errors import CallRefused
from inyeon.runtime.clock import ManualClock

pytestmark = pytest.mark.unit


class Room:
    """A carrier between sides in one process."""

    def __init__(self) -> None:
        self.sides: dict[str, SignallingSide] = {}

    async def hand(self, user_id: str, what: Handed) -> bool:
        side = self.sides.get(user_id)
        return side is not None and side.take(what)


def join(room: Room, user: str, partner: str, epoch: int, clock: ManualClock) -> SignallingSide:
    right = CallRight("m1", user, partner, clock.now() + timedelta(seconds=120))
    side = SignallingSide(CallSide(right, epoch), room, clock, asyncio.Queue(8))
    room.sides[user] = side
    return side


async def hear(side: SignallingSide, count: int) -> list[Heard]:
    heard: list[Heard] = []
    async for what in side.heard():
        heard.append(what)
        if len(heard) == count:
            break
    return heard


async def both_hear(one: SignallingSide, two: SignallingSide) -> list[list[Heard]]:
    async with asyncio.timeout(5):
        return list(await asyncio.gather(hear(one, 1), hear(two, 1)))


async def test_the_first_to_come_is_told_when_the_second_comes() -> None:
    room, clock = Room(), ManualClock()
    one = join(room, "a", "b", 1, clock)
    await one.arrive()
    two = join(room, "b", "a", 2, clock)
    await two.arrive()
    assert await both_hear(one, two) == [[PartnerIsHere("m1")], [PartnerIsHere("m1")]]


async def test_both_at_the_same_moment_are_told_once() -> None:
    room, clock = Room(), ManualClock()
    one, two = join(room, "a", "b", 1, clock), join(room, "b", "a", 2, clock)
    await asyncio.gather(one.arrive(), two.arrive())
    await both_hear(one, two)
    await one.say(Relayed("m1", 1, "offer"))
    async with asyncio.timeout(5):
        assert await hear(two, 1) == [Relayed("m1", 1, "offer")]


async def test_a_partner_that_comes_again_is_told_again() -> None:
    room, clock = Room(), ManualClock()
    one, two = join(room, "a", "b", 1, clock), join(room, "b", "a", 2, clock)
    await one.arrive()
    await both_hear(one, two)
    again = join(room, "b", "a", 3, clock)
    await again.arrive()
    assert await both_hear(one, again) == [[PartnerIsHere("m1")], [PartnerIsHere("m1")]]


async def test_a_signal_to_nobody_says_that_the_partner_is_gone() -> None:
    room, clock = Room(), ManualClock()
    one = join(room, "a", "b", 1, clock)
    await one.say(Relayed("m1", 1, "offer"))
    assert await hear(one, 1) == [PartnerIsGone("m1")]


async def test_a_signal_for_another_match_is_refused() -> None:
    one = join(Room(), "a", "b", 1, ManualClock())
    with pytest.raises(CallRefused) as refused:
        await one.say(Relayed("m2", 1, "offer"))
    assert (refused.value.reason, refused.value.field) == ("MATCH_FOREIGN", "signal.match_id")


async def test_a_side_takes_nothing_of_another_match() -> None:
    one = join(Room(), "a", "b", 1, ManualClock())
    assert not one.take(Notice("m2", 1, is_reply=False))


async def test_the_end_of_the_match_ends_what_is_heard() -> None:
    one = join(Room(), "a", "b", 1, ManualClock())
    one.take(PartnerIsGone("m1", final=True))
    assert [what async for what in one.heard()] == [PartnerIsGone("m1", final=True)]


async def test_stop_ends_what_is_heard_even_with_a_full_queue() -> None:
    one = join(Room(), "a", "b", 1, ManualClock())
    while one.take(Relayed("m1", 3, "candidate")):
        pass
    one.stop()
    assert [what async for what in one.heard()] == []


async def test_an_ended_right_ends_the_call() -> None:
    clock = ManualClock()
    one = join(Room(), "a", "b", 1, clock)
    await clock.advance(121)
    with pytest.raises(CallRefused) as refused:
        await hear(one, 1)
    assert refused.value.reason == "GRANT_EXPIRED"


async def test_a_renewed_right_goes_on_and_a_foreign_one_does_not() -> None:
    clock = ManualClock()
    one = join(Room(), "a", "b", 1, clock)
    one.renew(CallRight("m1", "a", "b", clock.now() + timedelta(seconds=240)))
    assert one.side.remaining_s(clock.now()) == 240
    with pytest.raises(CallRefused):
        one.renew(CallRight("m2", "a", "b", clock.now()))


def test_an_older_right_does_not_shorten_the_call() -> None:
    clock = ManualClock()
    side = CallSide(CallRight("m1", "a", "b", clock.now() + timedelta(seconds=60)), 1)
    assert side.renew(CallRight("m1", "a", "b", clock.now()))
    assert side.remaining_s(clock.now()) == 60


def test_a_notice_counts_once_and_only_for_its_match() -> None:
    clock = ManualClock()
    side = CallSide(CallRight("m1", "a", "b", clock.now()), 1)
    assert side.notice("m1", 5)
    assert not side.notice("m1", 5)
    assert not side.notice("m2", 6)
