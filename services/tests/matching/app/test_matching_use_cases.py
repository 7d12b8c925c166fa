"""Use cases on a clock that a test moves: real book, real log in memory, real signatures."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from inyeon.matching.adapters.ownership import LEASE_S
from inyeon.matching.app.admit import EndedTicket, admit
from inyeon.matching.app.apply import apply_edge, apply_sanction, apply_verdict
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.end_match import end_match, lose_matches
from inyeon.matching.app.heartbeat import heartbeat, leave
from inyeon.matching.app.owning import take_over
from inyeon.matching.app.pools import pool_state
from inyeon.matching.app.renew import keep_tickets, renew_grants
from inyeon.matching.app.running import run_upkeep
from inyeon.matching.app.seek import seek
from inyeon.matching.app.state import tell_state
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain import news
from inyeon.matching.domain.gates import WaitReason
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.people import AgeBand, Attention, Gender, Person, Verdict
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.matching.errors import PoolLost
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.errors import (
    InvalidRequest,
    LogUnavailable,
    Overloaded,
    StatementRefused,
    StoreUnavailable,
)
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.topics import TICKETS
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
Scene = Any  # conftest.Scene


class NoRooms:
    """Other pools, of which none takes anybody."""

    async def room(self, pool: str) -> int:
        return 0


async def tickets_in(log: MemoryLog) -> list[events_pb2.TicketWaiting]:
    reader = await log.read_all([TICKETS])
    records = await reader.poll(100, 0.0)
    await reader.close()
    return [events_pb2.TicketWaiting.FromString(record.value or b"") for record in records]


async def test_a_ticket_is_in_the_log_when_seek_returns(scene: Scene) -> None:
    await seek(scene.desk, Person("ana", AgeBand.ADULT, "US", Gender.OTHER), WISH, "s")
    (kept,) = await tickets_in(scene.log)
    assert (kept.user_id, kept.pool, kept.session_id, kept.country) == ("ana", "main", "s", "US")


async def test_a_second_wish_while_the_first_is_on_its_way_tells_of_the_first(
    scene: Scene,
) -> None:
    ana = Person("ana", AgeBand.ADULT, "US", Gender.OTHER)
    await seek(scene.desk, ana, WISH, "s")
    await seek(scene.desk, ana, WISH, "s")
    assert len(await tickets_in(scene.log)) == 1
    told = scene.teller.take("ana")
    assert told == [news.Queued("id-0", WaitReason.NEXT_WAVE, 0.0, 0)]


async def test_without_the_log_there_is_no_ticket_and_no_trace_of_one(scene: Scene) -> None:
    scene.log.outage = True
    ana = Person("ana", AgeBand.ADULT, "US", Gender.OTHER)
    with pytest.raises(LogUnavailable):
        await seek(scene.desk, ana, WISH, "s")
    assert scene.desk.hall.ticket_of("ana") is None
    scene.log.outage = False
    await seek(scene.desk, ana, WISH, "s")
    assert scene.desk.hall.ticket_of("ana") is not None


async def test_a_full_pool_refuses_with_a_time_to_try_again(scene: Scene) -> None:
    for user in "abc":
        await scene.person(user)
    with pytest.raises(Overloaded) as refused:
        await scene.person("d")
    assert (refused.value.reason, refused.value.retry_after_s) == ("POOL_FULL", 5.0)


async def test_thirty_silent_seconds_end_a_ticket(scene: Scene) -> None:
    await scene.person("ana")
    await scene.clock.advance(29.0)
    await run_wave(scene.desk)
    assert scene.desk.hall.ticket_of("ana") is not None
    await scene.clock.advance(1.0)
    await run_wave(scene.desk)
    assert scene.desk.hall.ticket_of("ana") is None
    assert scene.teller.take("ana")[-1] == news.Cancelled("id-0", TicketEnd.EXPIRED)


async def test_ten_absent_seconds_pause_and_return_resumes_at_the_next_wave(scene: Scene) -> None:
    await scene.person("ana")
    await scene.beat("ana", present=False)
    await run_wave(scene.desk)
    (first,) = [n for n in scene.teller.take("ana") if isinstance(n, news.Queued)][-1:]
    assert first.reason is WaitReason.AWAY
    await scene.clock.advance(10.0)
    await run_wave(scene.desk)
    assert scene.teller.take("ana")[-1] == news.Paused("id-0", WaitReason.AWAY)
    await scene.clock.advance(5.0)
    await scene.beat("ana")
    await run_wave(scene.desk)
    back = scene.teller.take("ana")[-1]
    assert isinstance(back, news.Queued)
    assert back.waited_s == pytest.approx(10.0)


async def test_what_has_not_changed_is_told_every_five_seconds(scene: Scene) -> None:
    await scene.person("ana")
    scene.teller.heard.clear()
    heard = []
    for _ in range(10):
        await scene.clock.advance(1.0)
        await scene.beat("ana")
        await run_wave(scene.desk)
        heard.append(len(scene.teller.take("ana")))
    assert sum(heard) == 2


async def test_a_lost_device_gives_the_other_side_its_waiting_back(scene: Scene) -> None:
    told = await scene.matched()
    await scene.clock.advance(20.0)
    await scene.beat("ana")
    await scene.clock.advance(10.0)
    await lose_matches(scene.desk)
    over = news.MatchOver(told.match.match_id, EndReason.LOST, by_me=False)
    assert scene.teller.take("ana") == [over] and scene.teller.take("bob") == [over]
    await scene.person("ana")
    assert scene.desk.hall.pool.look("ana", scene.clock.monotonic()).waited_s == pytest.approx(1.0)
    await scene.person("bob")
    assert scene.desk.hall.pool.look("bob", scene.clock.monotonic()).waited_s == 0.0


async def test_credit_is_gone_after_two_minutes(scene: Scene) -> None:
    told = await scene.matched()
    await end_match(scene.desk, "bob", told.match.match_id, EndReason.CONNECT_FAILED)
    assert await scene.desk.book.credit("ana", scene.clock.now()) == pytest.approx(1.0)
    await scene.clock.advance(121.0)
    assert await scene.desk.book.credit("ana", scene.clock.now()) == 0.0


async def test_grants_are_renewed_each_minute_for_both(scene: Scene) -> None:
    told = await scene.matched()
    await scene.clock.advance(59.0)
    await renew_grants(scene.desk)
    assert scene.teller.heard == []
    await scene.clock.advance(1.0)
    await renew_grants(scene.desk)
    for user in ("ana", "bob"):
        (renewed,) = scene.teller.take(user)
        assert isinstance(renewed, news.GrantRenewed)
        assert renewed.match_id == told.match.match_id


async def test_tickets_are_kept_in_the_log_with_their_pauses(scene: Scene) -> None:
    await keep_tickets(scene.desk)
    await scene.person("ana")
    await scene.beat("ana", present=False)
    await scene.clock.advance(12.0)
    await run_wave(scene.desk)
    await scene.clock.advance(4.0)
    await keep_tickets(scene.desk)
    first, kept = await tickets_in(scene.log)
    assert kept.ticket_id == first.ticket_id
    assert kept.paused_s == pytest.approx(4.0)


@pytest.mark.parametrize("reason", [EndReason.POLICY, EndReason.LOST])
async def test_only_the_platform_says_policy_and_lost(scene: Scene, reason: EndReason) -> None:
    told = await scene.matched()
    with pytest.raises(InvalidRequest) as refused:
        await end_match(scene.desk, "ana", told.match.match_id, reason)
    assert refused.value.field == "end_match.reason"


async def test_ending_somebody_elses_or_an_old_match_does_nothing(scene: Scene) -> None:
    told = await scene.matched()
    await end_match(scene.desk, "stranger", told.match.match_id, EndReason.LEFT)
    await end_match(scene.desk, "ana", "another", EndReason.LEFT)
    assert scene.desk.hall.meetings.of_user("ana") is not None
    assert scene.teller.take("bob") == []
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.REPORTED)
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.LEFT)
    assert scene.teller.take("bob") == [
        news.MatchOver(told.match.match_id, EndReason.REPORTED, by_me=False)
    ]
    assert await scene.desk.book.credit("ana", scene.clock.now()) > 0
    assert await scene.desk.book.credit("bob", scene.clock.now()) == 0


async def test_a_device_that_missed_the_end_is_told_when_it_ends_the_match_itself(
    scene: Scene,
) -> None:
    """Its stream was away when the other side left; without an answer it would believe for ever
    that it is in a match."""
    told = await scene.matched()
    await end_match(scene.desk, "bob", told.match.match_id, EndReason.LEFT)
    scene.teller.take("ana")
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.LEFT)
    over = news.MatchOver(told.match.match_id, EndReason.LEFT, by_me=True)
    assert scene.teller.take("ana") == [over]


async def test_what_a_former_owner_did_before_it_knew_does_not_end_the_new_one(
    scene: Scene,
) -> None:
    """It was stopped for a while, is woken up, and takes the end of a match and the next wish."""
    told = await scene.matched()
    former = scene.another()
    former.hall.meetings.begin(told.match, scene.clock.monotonic())
    await end_match(former, "ana", told.match.match_id, EndReason.LEFT)
    ana = Person("ana", AgeBand.ADULT, "US", Gender.OTHER)
    await seek(former, ana, WISH, "s")
    await admit(scene.desk, list(former.hall.on_the_way.values()))
    await scene.beat("ana")
    await scene.person("zoe")
    scene.teller.heard.clear()
    await run_wave(scene.desk)
    assert isinstance(scene.teller.take("ana")[0], news.Matched)
    meetings = scene.desk.hall.meetings
    assert meetings.of_user("ana") is meetings.of_user("zoe") is not None
    assert meetings.of_user("bob") is None


async def test_a_second_ticket_of_a_user_ends_without_a_word(scene: Scene) -> None:
    """Its sender saw the log fail and tried again, but the log has both."""
    await scene.person("ana")
    first = scene.desk.hall.pool.of_user("ana")
    assert first is not None
    scene.teller.heard.clear()
    second = replace(first, ticket_id="second")
    await admit(scene.desk, [second])
    assert scene.desk.hall.pool.of_user("ana") is first
    assert (await scene.desk.book.look((), ["second", first.ticket_id], scene.clock.now()))[1] == {
        "second"
    }
    assert scene.teller.heard == []


async def test_an_old_verdict_does_not_undo_a_newer_one(scene: Scene) -> None:
    await scene.person("ana")
    await apply_verdict(scene.desk, "ana", Verdict.PROTECT, version=5)
    await apply_verdict(scene.desk, "ana", Verdict.CLEAR, version=4)
    await run_wave(scene.desk)
    assert scene.teller.take("ana")[-1] == news.Paused("id-0", WaitReason.NOT_CLEAR)


async def test_a_repeated_protect_ends_a_match_that_the_first_could_not(scene: Scene) -> None:
    """The process died between the record and its effect; the log brings the record again."""
    told = await scene.matched()
    await scene.desk.book.record_verdict("bob", Verdict.PROTECT, 3)
    await apply_verdict(scene.desk, "bob", Verdict.PROTECT, version=3)
    assert scene.teller.take("ana") == [
        news.MatchOver(told.match.match_id, EndReason.POLICY, by_me=False)
    ]


async def test_unsure_pauses_but_ends_no_match(scene: Scene) -> None:
    await scene.matched()
    await apply_verdict(scene.desk, "bob", Verdict.UNSURE, version=1)
    assert scene.desk.hall.meetings.of_user("bob") is not None


async def test_a_sanction_ends_the_match_pauses_and_can_be_lifted(scene: Scene) -> None:
    await scene.matched()
    until = scene.clock.now() + timedelta(hours=1)
    await apply_sanction(scene.desk, "bob", until, version=1)
    assert scene.desk.hall.meetings.of_user("bob") is None
    await scene.person("bob")
    await run_wave(scene.desk)
    paused = scene.teller.take("bob")[-1]
    assert isinstance(paused, news.Paused) and paused.reason is WaitReason.SANCTIONED
    await apply_sanction(scene.desk, "bob", None, version=2)
    await apply_sanction(scene.desk, "bob", until, version=1)
    await run_wave(scene.desk)
    assert isinstance(scene.teller.take("bob")[-1], news.Queued)


async def test_a_block_between_waiting_people_keeps_them_apart_for_ever(scene: Scene) -> None:
    await scene.person("ana")
    await scene.person("bob")
    await apply_edge(scene.desk, "bob", "ana", "BLOCK", version=2)
    await apply_edge(scene.desk, "bob", "ana", "BLOCK", version=1)
    for _ in range(3):
        await scene.clock.advance(5.0)
        await scene.beat("ana")
        await scene.beat("bob")
        await run_wave(scene.desk)
    assert len(scene.desk.hall.meetings) == 0
    assert scene.desk.hall.fitting == {"ana": 0, "bob": 0}


async def test_a_pair_that_the_book_knows_better_of_is_left_out_and_learned(scene: Scene) -> None:
    """Another replica recorded it; this pool has not heard."""
    await scene.person("ana")
    await scene.person("bob")
    await scene.desk.book.record_verdict("bob", Verdict.PROTECT, 1)
    await run_wave(scene.desk)
    assert len(scene.desk.hall.meetings) == 0
    await run_wave(scene.desk)
    paused = scene.teller.take("bob")[-1]
    assert isinstance(paused, news.Paused) and paused.reason is WaitReason.NOT_CLEAR
    await scene.person("cid")
    await scene.desk.book.record_edge("cid", "ana", "BLOCK", 1)
    await run_wave(scene.desk)
    await run_wave(scene.desk)
    assert scene.desk.hall.fitting["ana"] == 0


async def test_a_ticket_that_ended_elsewhere_is_left_out_and_dropped(scene: Scene) -> None:
    await scene.person("ana")
    await scene.person("bob")
    ticket = scene.desk.hall.ticket_of("bob")
    assert ticket is not None
    await scene.desk.book.end_ticket(ticket, TicketEnd.CANCELLED, scene.clock.now())
    await run_wave(scene.desk)
    assert len(scene.desk.hall.meetings) == 0
    assert scene.desk.hall.ticket_of("bob") is None
    assert scene.desk.hall.ticket_of("ana") is not None


async def test_a_replica_that_lost_the_pool_pairs_nobody(scene: Scene) -> None:
    await scene.person("ana")
    await scene.person("bob")
    await scene.clock.advance(LEASE_S)
    assert await scene.desk.book.hold("main", "there", 0) == 2
    with pytest.raises(PoolLost):
        await run_wave(scene.desk)
    assert await scene.desk.book.live_matches("main") == []


async def test_a_new_owner_finds_live_matches_and_refuses_their_people_as_waiting(
    scene: Scene,
) -> None:
    await scene.person("ana")
    old = scene.desk.hall.ticket_of("ana")
    assert old is not None
    await scene.person("bob")
    await run_wave(scene.desk)
    there = scene.another()
    await take_over(there, 2)
    match = there.hall.meetings.of_user("ana")
    assert match is not None and match == scene.desk.hall.meetings.of_user("ana")
    await admit(there, [old, replace(old, ticket_id="never-ended")])
    assert len(there.hall.pool) == 0


async def test_an_ended_ticket_of_the_log_leaves_the_pool_and_only_it(scene: Scene) -> None:
    await scene.person("ana")
    await admit(scene.desk, [EndedTicket("another", "ana"), EndedTicket("x", "nobody")])
    assert scene.desk.hall.ticket_of("ana") is not None
    await admit(scene.desk, [EndedTicket("id-0", "ana")])
    assert scene.desk.hall.ticket_of("ana") is None


async def test_two_tickets_of_one_user_in_one_batch_make_one(scene: Scene) -> None:
    await seek(scene.desk, Person("ana", AgeBand.ADULT, "US", Gender.OTHER), WISH, "s")
    mine = scene.desk.hall.ticket_of("ana")
    assert mine is not None
    stray = replace(mine, ticket_id="stray")
    elsewhere = replace(
        mine, ticket_id="far", pool="other", person=replace(mine.person, user_id="z")
    )
    await admit(scene.desk, [mine, stray, elsewhere])
    assert list(scene.desk.hall.pool) == [mine]
    assert scene.desk.hall.on_the_way == {}


async def test_a_pass_that_expired_counts_as_none_and_an_older_one_stays(scene: Scene) -> None:
    await scene.person("ana")
    old = scene.signed("ana", life_s=10.0)
    await scene.clock.advance(13.0)
    await scene.beat("ana", signed=old)
    assert scene.desk.hall.signs["ana"].pass_until == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("who", "life_s", "device", "ahead_s", "reason"),
    [
        ("bob", 30.0, "", 0.0, "WRONG_USER"),
        ("ana", 30.0, "other-device", 0.0, "WRONG_DEVICE"),
        ("ana", 31.0, "", 0.0, "PASS_TOO_LONG"),
        ("ana", 30.0, "", 300.0, "CLOCK_SKEW"),
        ("ana", 30.0, "", 6.0, "CLOCK_SKEW"),
    ],
)
async def test_a_pass_that_does_not_hold_is_refused(
    scene: Scene, who: str, life_s: float, device: str, ahead_s: float, reason: str
) -> None:
    with pytest.raises(StatementRefused) as refused:
        await scene.beat("ana", signed=scene.signed(who, life_s, device, ahead_s))
    assert refused.value.reason == reason
    assert "ana" not in scene.desk.hall.signs


async def test_a_forged_pass_is_refused(scene: Scene) -> None:
    right = scene.signed("ana")
    with pytest.raises(StatementRefused):
        await scene.beat("ana", signed=replace(right, payload=right.payload + b" "))


async def test_a_pass_of_an_unknown_policy_does_not_count(scene: Scene) -> None:
    strict = replace(scene.desk, policy_versions=frozenset({"8"}))
    await heartbeat(strict, "ana", "", True, scene.signed("ana"))
    assert strict.hall.signs["ana"].pass_until == -math.inf


async def test_who_left_is_forgotten_unless_waiting_or_meeting(scene: Scene) -> None:
    await scene.beat("nobody")
    await leave(scene.desk, "nobody")
    await leave(scene.desk, "never-there")
    assert scene.desk.hall.signs == {}
    await scene.person("ana")
    await leave(scene.desk, "ana")
    assert not scene.desk.hall.signs["ana"].present
    await scene.clock.advance(91.0)
    await run_wave(scene.desk)
    assert scene.desk.hall.signs == {}


async def test_cancel_in_a_match_does_nothing(scene: Scene) -> None:
    await scene.matched()
    await cancel(scene.desk, "ana")
    assert scene.teller.take("ana") == []
    assert scene.desk.hall.meetings.of_user("ana") is not None


async def test_a_wave_that_was_first_makes_cancel_say_nothing(scene: Scene) -> None:
    """The book has the match; this hall has not heard yet."""
    await scene.person("ana")
    ticket = scene.desk.hall.ticket_of("ana")
    assert ticket is not None
    assert await scene.desk.book.end_ticket(ticket, TicketEnd.MATCHED, scene.clock.now())
    scene.teller.heard.clear()
    await cancel(scene.desk, "ana")
    assert scene.teller.take("ana") == []


async def test_with_the_store_away_nobody_is_paired_and_all_are_told(scene: Scene) -> None:
    await scene.person("ana")
    await scene.person("bob")
    await scene.person("old")
    await scene.clock.advance(30.0)
    for user in ("ana", "bob"):
        await scene.beat(user)
    await scene.store.close()
    await run_wave(scene.desk)
    told = scene.teller.take("ana")[-1]
    assert isinstance(told, news.Queued) and told.reason is WaitReason.SERVICE_PAUSED
    assert pool_state(scene.desk).service_away
    with pytest.raises(StoreUnavailable):
        dan = Person("dan", AgeBand.ADULT, "US", Gender.OTHER)
        await seek(replace(scene.desk, max_waiting=9), dan, WISH, "s")


async def test_state_of_nobody_is_nothing(scene: Scene) -> None:
    await tell_state(scene.desk, "nobody")
    assert scene.teller.heard == []


async def test_the_book_forgets_what_no_longer_matters(scene: Scene) -> None:
    told = await scene.matched()
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.CONNECT_FAILED)
    assert await scene.desk.book.forget(scene.clock.now()) == 0
    await scene.clock.advance(3_601.0)
    # Two ends, two credits, one horizon.
    assert await scene.desk.book.forget(scene.clock.now()) == 5
    await scene.person("ana")
    await scene.person("bob")
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is not None


async def test_more_than_a_statement_takes_is_looked_up_in_parts(scene: Scene) -> None:
    await scene.desk.book.record_verdict("user-1100", Verdict.UNSURE, 1)
    facts = await scene.desk.book.facts([f"user-{n}" for n in range(1_200)], scene.clock.now())
    assert len(facts) == 1_200
    assert facts["user-1100"].verdict is Verdict.UNSURE


async def test_a_crowd_is_paired_in_one_wave_off_the_loop(scene: Scene) -> None:
    desk = replace(scene.desk, max_waiting=1_000)
    waiters = list(synthetic_waiters(600, seed=3))
    for waiter in waiters:
        await heartbeat(desk, waiter.ticket.user_id, "", True, scene.signed(waiter.ticket.user_id))
    made: list[Ticket | EndedTicket] = [
        replace(waiter.ticket, created_at=scene.clock.now()) for waiter in waiters
    ]
    await admit(desk, made)
    await run_wave(desk)
    matches = await desk.book.live_matches("main")
    assert len(matches) == len(desk.hall.meetings) > 100
    users = [user for match in matches for user in match.users]
    assert len(users) == len(set(users))


async def test_upkeep_renews_and_keeps_and_waits_for_what_is_away(scene: Scene) -> None:
    scene.desk.hall.rebuilt.set()
    await scene.person("ana")
    upkeep = asyncio.create_task(run_upkeep(scene.desk, NoRooms()))
    try:
        await scene.clock.advance(0.0)  # the task reads its clock first
        scene.log.outage = True
        await scene.clock.advance(31.0)
        assert not upkeep.done()
        scene.log.outage = False
        await scene.clock.advance(1.0)
        assert len(await tickets_in(scene.log)) == 2
        await scene.clock.advance(29.0)
        assert len(await tickets_in(scene.log)) == 2
        await scene.clock.advance(1.0)
        assert len(await tickets_in(scene.log)) == 3
    finally:
        upkeep.cancel()
        with suppress(asyncio.CancelledError):
            await upkeep


async def test_a_return_is_told_with_its_heartbeat_and_keeps_the_waiting_time(
    scene: Scene,
) -> None:
    await scene.person("ana")
    await scene.beat("ana", present=Attention.DISTRACTED)
    await scene.clock.advance(10.0)
    await run_wave(scene.desk)
    assert scene.teller.take("ana")[-1] == news.Paused("id-0", WaitReason.DISTRACTED)
    await scene.clock.advance(7.0)
    await scene.beat("ana")  # no wave in between
    (back,) = scene.teller.take("ana")
    assert isinstance(back, news.Queued) and back.waited_s == pytest.approx(10.0)


async def test_nobody_is_proposed_to_a_distracted_person(scene: Scene) -> None:
    await scene.person("ana")
    await scene.person("bob")
    await scene.beat("ana", present=Attention.DISTRACTED)
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("bob") is None
    await scene.beat("ana")
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("bob") is not None


async def on_device(scene: Scene, user: str, device: str) -> None:
    await scene.beat(user)
    desk = replace(scene.desk, hash_device=lambda key: f"hash of {key}" if key else "")
    ana = Person(user, AgeBand.ADULT, "US", Gender.OTHER)
    await seek(desk, ana, WISH, "s", device)
    await scene.arrive()


async def test_two_accounts_of_one_device_never_meet(scene: Scene) -> None:
    await on_device(scene, "ana", "phone")
    await on_device(scene, "ana-too", "phone")
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is None
    (first, second) = await tickets_in(scene.log)
    assert first.device == second.device == "hash of phone"


async def test_a_report_bars_every_account_of_the_device_that_waits_now(scene: Scene) -> None:
    await scene.person("ana")
    await on_device(scene, "bob", "phone")
    bob = scene.desk.hall.ticket_of("bob")
    await cancel(scene.desk, "bob")
    assert bob is not None
    await on_device(scene, "bob-too", "phone")
    await apply_edge(scene.desk, "ana", "bob", "REPORT", 1)
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is None


async def test_a_report_ends_the_match_with_another_account_of_the_device(scene: Scene) -> None:
    await scene.person("ana")
    await on_device(scene, "bob", "phone")
    await cancel(scene.desk, "bob")
    await on_device(scene, "bob-too", "phone")
    await run_wave(scene.desk)
    assert scene.desk.hall.meetings.of_user("ana") is not None
    scene.teller.heard.clear()
    await apply_edge(scene.desk, "ana", "bob", "REPORT", 1)
    (over,) = scene.teller.take("bob-too")
    assert isinstance(over, news.MatchOver) and over.reason is EndReason.REPORTED
    assert await scene.desk.book.credit("bob-too", scene.clock.now()) == 0.0
