"""Proposals that both must accept: only who says no, or nothing, loses by it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from inyeon.matching.app.accept import accept, decline
from inyeon.matching.app.apply import apply_edge
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.end_match import end_match, lose_matches
from inyeon.matching.app.heartbeat import leave
from inyeon.matching.app.owning import take_over
from inyeon.matching.app.renew import renew_grants
from inyeon.matching.app.state import tell_state
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain import news
from inyeon.matching.domain.faults import FREE
from inyeon.matching.domain.gates import Gate, WaitReason
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.runtime.log.envelope import is_type
from inyeon.runtime.log.topics import MATCHES, OUTCOMES
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

WITHIN_S = 15.0


@pytest.fixture
def asking(scene: Any) -> Any:
    """A scene whose operator lets people choose."""
    within = timedelta(seconds=WITHIN_S)
    return replace(scene, desk=replace(scene.desk, accept_within=within, max_waiting=9))


async def proposed(scene: Any) -> LiveMatch:
    """Ana, who waited a second, and Bob are asked."""
    await scene.person("ana")
    await scene.clock.advance(1.0)
    await scene.person("bob")
    await run_wave(scene.desk)
    (told,) = [one for one in scene.teller.take("ana") if isinstance(one, news.Proposed)]
    assert told.answer_within_s == WITHIN_S
    scene.teller.heard.clear()
    match: LiveMatch = told.match
    return match


async def said(scene: Any) -> list[str]:
    """Types of what others were told of matches."""
    relay = OutboxRelay(scene.store, scene.log, scene.clock, owner="test")
    await relay.drain()
    reader = await scene.log.read_all([MATCHES, OUTCOMES])
    records = await reader.poll(100, 0.0)
    await reader.close()
    kinds = (events_pb2.MatchLive, events_pb2.MatchEnded, events_pb2.MatchOutcome)
    return [kind.__name__ for one in records for kind in kinds if is_type(one, kind)]


async def test_two_yeses_make_a_live_match_with_grants(asking: Any) -> None:
    match = await proposed(asking)
    assert await said(asking) == []
    await accept(asking.desk, "ana", match.match_id)
    (told,) = asking.teller.take("ana")
    assert isinstance(told, news.Proposed) and told.match.accepted == {"ana"}
    await accept(asking.desk, "bob", match.match_id)
    for user in ("ana", "bob"):
        (met,) = asking.teller.take(user)
        assert isinstance(met, news.Matched)
    assert await said(asking) == ["MatchLive"]
    await accept(asking.desk, "ana", match.match_id)  # again: the grant again
    assert isinstance(asking.teller.take("ana")[0], news.Matched)
    await decline(asking.desk, "ana", match.match_id)  # too late
    assert isinstance(asking.teller.take("ana")[0], news.Matched)
    await asking.clock.advance(WITHIN_S + 1)
    await lose_matches(asking.desk)
    assert asking.desk.hall.meetings.of_user("ana") is not None
    await end_match(asking.desk, "ana", match.match_id, EndReason.LEFT)
    assert (await said(asking))[1:] == ["MatchEnded", "MatchOutcome", "MatchOutcome"]


async def test_who_was_declined_waits_again_at_once_with_the_time_waited(asking: Any) -> None:
    match = await proposed(asking)
    await accept(asking.desk, "ana", match.match_id)
    asking.teller.heard.clear()
    await asking.clock.advance(3.0)
    await decline(asking.desk, "bob", match.match_id)
    over = asking.teller.take("bob")
    assert over == [news.MatchOver(match.match_id, EndReason.DECLINED, by_me=True)]
    assert asking.desk.hall.ticket_of("bob") is None
    await asking.arrive()
    await run_wave(asking.desk)
    first, queued = asking.teller.take("ana")
    assert first == news.MatchOver(match.match_id, EndReason.DECLINED, by_me=False)
    assert isinstance(queued, news.Queued) and queued.waited_s == pytest.approx(1.0)
    assert await said(asking) == []  # nobody else ever heard of it
    await asking.beat("bob")
    await asking.person("bob")
    await run_wave(asking.desk)
    assert asking.desk.hall.meetings.of_user("ana") is None  # not again within the horizon


async def test_who_does_not_answer_loses_the_ticket(asking: Any) -> None:
    match = await proposed(asking)
    await accept(asking.desk, "ana", match.match_id)
    await asking.clock.advance(WITHIN_S - 1)
    await lose_matches(asking.desk)
    assert asking.desk.hall.meetings.of_user("ana") is not None
    await asking.clock.advance(1.0)
    await lose_matches(asking.desk)
    over = news.MatchOver(match.match_id, EndReason.NOT_ACCEPTED, by_me=False)
    assert asking.teller.take("bob") == [over]
    assert asking.desk.hall.ticket_of("ana") is not None
    assert asking.desk.hall.ticket_of("bob") is None
    asking.teller.heard.clear()
    await accept(asking.desk, "bob", match.match_id)
    assert asking.teller.take("bob") == [over]


async def test_nobody_waits_again_where_neither_answered(asking: Any) -> None:
    await proposed(asking)
    await asking.clock.advance(WITHIN_S)
    await lose_matches(asking.desk)
    assert asking.desk.hall.on_the_way == {} and asking.desk.hall.offered == {}


async def test_a_yes_after_the_deadline_is_none(asking: Any) -> None:
    match = await proposed(asking)
    await asking.clock.advance(WITHIN_S + 0.1)
    await accept(asking.desk, "ana", match.match_id)
    over = news.MatchOver(match.match_id, EndReason.NOT_ACCEPTED, by_me=False)
    assert asking.teller.take("ana") == [over]


async def test_leaving_a_proposal_declines_it_and_a_report_blames_the_other(asking: Any) -> None:
    match = await proposed(asking)
    await end_match(asking.desk, "bob", match.match_id, EndReason.LEFT)
    assert asking.teller.take("bob")[0].reason is EndReason.DECLINED
    assert asking.desk.hall.ticket_of("ana") is not None
    await asking.arrive()
    await asking.person("cid")
    await run_wave(asking.desk)
    await apply_edge(asking.desk, "ana", "cid", "REPORT", 1)
    assert asking.desk.hall.ticket_of("ana") is not None
    assert asking.desk.hall.ticket_of("cid") is None


async def test_a_new_owner_knows_who_has_accepted(asking: Any) -> None:
    match = await proposed(asking)
    await accept(asking.desk, "ana", match.match_id)
    there = replace(asking.another(), accept_within=asking.desk.accept_within)
    await take_over(there, 2)
    await tell_state(there, "ana")
    told = asking.teller.take("ana")[-1]
    assert isinstance(told, news.Proposed) and told.match.accepted == {"ana"}
    await accept(there, "bob", match.match_id)
    assert isinstance(asking.teller.take("bob")[-1], news.Matched)


async def test_without_the_log_the_innocent_keeps_the_credit(asking: Any) -> None:
    match = await proposed(asking)
    asking.log.outage = True
    await decline(asking.desk, "bob", match.match_id)
    assert asking.desk.hall.ticket_of("ana") is None
    credit = await asking.desk.book.credit("ana", asking.clock.now())
    assert credit == pytest.approx(1.0)


async def test_a_proposal_gets_no_grant_and_strangers_answer_nothing(asking: Any) -> None:
    match = await proposed(asking)
    await asking.clock.advance(WITHIN_S - 1)
    await renew_grants(asking.desk)
    assert asking.teller.heard == []
    await accept(asking.desk, "zoe", match.match_id)
    await decline(asking.desk, "zoe", match.match_id)
    assert len(asking.teller.take("zoe")) == 2
    assert asking.desk.hall.meetings.of_user("ana").accepted == frozenset()


async def test_declining_again_and_again_costs_a_growing_pause(asking: Any) -> None:
    for number in range(FREE + 2):
        await asking.beat("ana")
        await asking.person("ana")
        other = f"other-{number}"
        await asking.person(other)
        if asking.desk.hall.pool.look("ana", asking.clock.monotonic()).gate is Gate.COOL_DOWN:
            break
        await run_wave(asking.desk)
        match = asking.desk.hall.meetings.of_user("ana")
        await decline(asking.desk, "ana", match.match_id)
        ticket = asking.desk.hall.ticket_of(other)
        await asking.desk.book.end_ticket(ticket, TicketEnd.CANCELLED, asking.clock.now())
        asking.desk.hall.drop(ticket)
    assert number == FREE + 1
    await asking.clock.advance(4.0)
    await asking.beat("ana")
    asking.teller.heard.clear()
    await run_wave(asking.desk)
    told = asking.teller.take("ana")[-1]
    assert (told.reason, told.resumes_in_s) == (WaitReason.COOL_DOWN, pytest.approx(6.0))
    assert asking.desk.hall.meetings.of_user(other) is None
    await asking.clock.advance(6.0)
    for user in ("ana", other):
        await asking.beat(user)
    await run_wave(asking.desk)
    assert asking.desk.hall.meetings.of_user(other) is not None


async def test_faults_are_forgiven_after_ten_quiet_minutes(scene: Any) -> None:
    for _ in range(FREE):
        told = await scene.matched()
        await leave(scene.desk, "bob")
        await end_match(scene.desk, "ana", told.match.match_id, EndReason.CONNECT_FAILED)
        await scene.clock.advance(599.0)
    facts = (await scene.desk.book.facts(["bob"], scene.clock.now()))["bob"]
    assert facts.cools_until is not None and facts.cools_until <= scene.clock.now()
    await scene.clock.advance(601.0)
    assert await scene.desk.book.forget(scene.clock.now()) > 0
    facts = (await scene.desk.book.facts(["bob"], scene.clock.now()))["bob"]
    assert facts.cools_until is None


async def test_a_failed_call_is_on_the_device_that_is_silent(scene: Any) -> None:
    told = await scene.matched()
    await scene.clock.advance(12.0)
    await scene.beat("ana")
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.CONNECT_FAILED)
    at = scene.clock.now()
    assert await scene.desk.book.credit("ana", at) == pytest.approx(1.0)
    facts = await scene.desk.book.facts(["ana", "bob"], at)
    assert facts["bob"].cools_until is not None and facts["ana"].cools_until is None


async def test_a_failed_call_between_two_who_are_there_is_nobodys_fault(scene: Any) -> None:
    told = await scene.matched()
    await scene.clock.advance(5.0)
    await leave(scene.desk, "bob")
    await scene.beat("bob")  # and back
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.CONNECT_FAILED)
    facts = await scene.desk.book.facts(["ana", "bob"], scene.clock.now())
    assert facts["ana"].cools_until is None and facts["bob"].cools_until is None


class CallsOff:
    """A device that stops looking the moment it hears that its match is over."""

    def __init__(self, scene: Any, user: str) -> None:
        self._scene = scene
        self._user = user
        self.desk: Any = None

    async def tell(self, user_id: str, told: news.News) -> bool:
        if user_id == self._user and isinstance(told, news.MatchOver):
            await cancel(self.desk, user_id)
        return bool(await self._scene.teller.tell(user_id, told))


async def test_who_calls_off_while_being_sent_back_to_wait_does_not_wait(asking: Any) -> None:
    match = await proposed(asking)
    device = CallsOff(asking, "ana")
    device.desk = replace(asking.desk, teller=device)
    await decline(device.desk, "bob", match.match_id)
    assert any(isinstance(one, news.Cancelled) for one in asking.teller.take("ana"))
    await asking.arrive()
    assert asking.desk.hall.ticket_of("ana") is None


class SlowAnswers:
    """The book, whose answer to who ended a match comes late."""

    def __init__(self, book: Any) -> None:
        self._book = book

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    async def end_match(self, *told: Any) -> bool:
        first = bool(await self._book.end_match(*told))
        if first:
            for _ in range(200):
                await asyncio.sleep(0.001)
        return first


async def test_of_two_who_decline_at_once_the_first_is_to_blame(asking: Any) -> None:
    match = await proposed(asking)
    desk = replace(asking.desk, book=SlowAnswers(asking.desk.book))
    await asyncio.gather(decline(desk, "ana", match.match_id), decline(desk, "bob", match.match_id))
    assert desk.hall.ticket_of("ana") is None
    assert desk.hall.ticket_of("bob") is not None
    facts = await desk.book.facts(["ana", "bob"], asking.clock.now())
    assert facts["ana"].cools_until is not None and facts["bob"].cools_until is None
