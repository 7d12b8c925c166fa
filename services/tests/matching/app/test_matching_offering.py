"""At the starvation bound: the offer, the figures in it, and the person's answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.wire import news_to, ticket_from
from inyeon.matching.api.callers import Caller, Said
from inyeon.matching.api.verbs import act
from inyeon.matching.app.admit import EndedTicket, admit
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.offering import offer_widening
from inyeon.matching.app.seek import seek
from inyeon.matching.app.state import tell_state
from inyeon.matching.app.wave import run_wave
from inyeon.matching.app.widen import widen
from inyeon.matching.domain import news
from inyeon.matching.domain.filters import Filter
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.errors import InvalidRequest
from inyeon.runtime.identity.claims import Claims
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import TICKETS
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2

pytestmark = pytest.mark.unit

WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
FRENCH = frozenset({"FR"})


async def waits(scene: Any, user: str, **wishes: Any) -> None:
    await scene.beat(user)
    person = Person(user, AgeBand.ADULT, "US", Gender.OTHER)
    await seek(scene.desk, person, replace(WISH, **wishes), "s")
    await scene.arrive()
    scene.desk.hall.rebuilt.set()


async def a_second(scene: Any, *users: str, seconds: float = 1.0) -> None:
    """Heartbeats, a wave and the upkeep's offers."""
    await scene.clock.advance(seconds)
    for user in users:
        await scene.beat(user)
    await run_wave(scene.desk)
    await offer_widening(scene.desk)


def offers(scene: Any, user: str) -> list[news.WideningOffer]:
    return [one for one in scene.teller.take(user) if isinstance(one, news.WideningOffer)]


async def starving(scene: Any) -> news.WideningOffer:
    """Ana wants France, Eve is from elsewhere: the offer to Ana after a minute."""
    await waits(scene, "ana", countries=FRENCH)
    await waits(scene, "eve")
    for _ in range(3):
        await a_second(scene, "ana", "eve", seconds=20.0)
    (offer,) = offers(scene, "ana")
    return offer


async def read_back(scene: Any) -> list[Ticket]:
    """Everything of the log, admitted like the pool's reader does; the tickets among it."""
    await OutboxRelay(scene.store, scene.log, scene.clock, owner="relay").drain()
    reader = await scene.log.read_all([TICKETS])
    records: list[Record] = list(await reader.poll(500, 0.0))
    await reader.close()
    tickets = [
        ticket_from(decode(one, events_pb2.TicketWaiting))
        for one in records
        if is_type(one, events_pb2.TicketWaiting)
    ]
    over = [
        decode(one, events_pb2.TicketEnded)
        for one in records
        if is_type(one, events_pb2.TicketEnded)
    ]
    await admit(scene.desk, [*tickets, *(EndedTicket(one.ticket_id, one.user_id) for one in over)])
    return tickets


async def test_at_the_bound_the_offer_names_what_would_help_and_nothing_relaxes(scene: Any) -> None:
    offer = await starving(scene)
    (cost,) = offer.filters
    assert offer.estimated and offer.waited_s == pytest.approx(60.0)
    assert (cost.filter, cost.more_people, cost.expected_s) == (Filter.COUNTRIES, 1, None)
    assert cost.without_s is not None and cost.without_s <= 1.0
    assert news_to(offer, "ana").widening_offer.filters[0].more_people == 1
    for _ in range(2):
        await a_second(scene, "ana", "eve", seconds=25.0)
    assert offers(scene, "ana") == [] and len(scene.desk.hall.pool) == 2
    await a_second(scene, "ana", "eve", seconds=10.0)
    assert [round(one.waited_s) for one in offers(scene, "ana")] == [120]
    assert len(scene.desk.hall.pool) == 2


async def test_an_offer_is_told_again_to_a_stream_that_opens(scene: Any) -> None:
    offer = await starving(scene)
    await tell_state(scene.desk, "ana")
    assert scene.teller.take("ana")[-1] == offer
    await cancel(scene.desk, "ana")
    assert scene.desk.hall.offers.keys() == {"eve"}


async def test_who_is_paused_away_or_served_by_nobody_is_offered_nothing(scene: Any) -> None:
    await waits(scene, "ana", countries=FRENCH)
    for _ in range(4):
        await scene.clock.advance(20.0)
        await scene.beat("ana", present=False)
        await run_wave(scene.desk)
        await offer_widening(scene.desk)
    assert offers(scene, "ana") == []
    await scene.beat("ana")
    for _ in range(3):
        await a_second(scene, "ana", seconds=20.0)
        scene.desk.hall.service_away = True
        await offer_widening(scene.desk)
    scene.teller.heard.clear()
    scene.desk.hall.offers.clear()
    await offer_widening(scene.desk)
    assert offers(scene, "ana") == []


async def test_without_a_bound_nobody_is_offered_anything(scene: Any) -> None:
    scene.desk = replace(scene.desk, starvation_bound_s=0.0)
    await waits(scene, "ana", countries=FRENCH)
    for _ in range(4):
        await a_second(scene, "ana", seconds=25.0)
    assert offers(scene, "ana") == []


async def test_who_accepts_waits_on_without_the_filter_and_meets(scene: Any) -> None:
    offer = await starving(scene)
    before = scene.desk.hall.pool.of_user("ana")
    await widen(scene.desk, "ana", offer.ticket_id, frozenset({Filter.COUNTRIES}))
    (told,) = scene.teller.take("ana")
    assert isinstance(told, news.Queued) and told.ticket_id != offer.ticket_id
    assert told.waited_s == pytest.approx(60.0)
    await read_back(scene)
    look = scene.desk.hall.pool.look("ana", scene.clock.monotonic())
    assert look.ticket.ticket_id == told.ticket_id and look.ticket.wish.countries == frozenset()
    assert look.waited_s == pytest.approx(60.0)
    await a_second(scene, "ana", "eve")
    matched = scene.teller.take("ana")
    assert isinstance(matched[-1], news.Matched)
    assert not await scene.desk.book.end_ticket(before, TicketEnd.EXPIRED, scene.clock.now())


async def test_a_wider_ticket_keeps_its_pauses_and_hears_no_second_offer_at_once(
    scene: Any,
) -> None:
    await waits(scene, "ana", countries=FRENCH, genders=frozenset({Gender.FEMALE}))
    for _ in range(3):
        await scene.clock.advance(15.0)
        await scene.beat("ana", present=False)
        await run_wave(scene.desk)
    await scene.beat("ana")
    for _ in range(2):
        await a_second(scene, "ana", seconds=20.0)
    (offer,) = offers(scene, "ana")
    await widen(scene.desk, "ana", offer.ticket_id, frozenset({Filter.COUNTRIES}))
    await read_back(scene)
    await a_second(scene, "ana")
    look = scene.desk.hall.pool.look("ana", scene.clock.monotonic())
    assert offer.waited_s < 85.0  # it is 85 s old
    assert look.waited_s == pytest.approx(offer.waited_s + 1.0)
    assert offers(scene, "ana") == []


async def test_a_late_answer_widens_nothing(scene: Any) -> None:
    offer = await starving(scene)
    await widen(scene.desk, "ana", "another", frozenset({Filter.COUNTRIES}))
    await widen(scene.desk, "ana", offer.ticket_id, frozenset({Filter.GENDERS}))
    told = [one for one in scene.teller.take("ana") if isinstance(one, news.Queued)]
    assert {one.ticket_id for one in told} == {offer.ticket_id} and len(told) == 2
    await cancel(scene.desk, "ana")
    scene.teller.heard.clear()
    await widen(scene.desk, "ana", offer.ticket_id, frozenset({Filter.COUNTRIES}))
    assert scene.teller.take("ana") == [news.Cancelled("", TicketEnd.CANCELLED)]


async def test_of_an_end_elsewhere_and_a_wider_wish_the_first_wins(scene: Any) -> None:
    offer = await starving(scene)
    ticket = scene.desk.hall.pool.of_user("ana")
    await scene.desk.book.end_ticket(ticket, TicketEnd.EXPIRED, scene.clock.now())
    await widen(scene.desk, "ana", offer.ticket_id, frozenset({Filter.COUNTRIES}))
    assert scene.desk.hall.pool.of_user("ana") is ticket  # the log will say that it is over
    assert {one.ticket_id for one in await read_back(scene)} == {"id-0", "id-1"}
    assert scene.desk.hall.ticket_of("ana") is None


async def test_waits_are_counted_by_first_language_and_declared_gender(scene: Any) -> None:
    registry = CollectorRegistry()
    scene.desk = replace(scene.desk, meter=PrometheusMeter(registry, "main"))
    await waits(scene, "ana", countries=FRENCH)
    await scene.clock.advance(7.0)
    await scene.beat("ana")
    await cancel(scene.desk, "ana")
    scene.desk.meter.offered(estimated=True)

    def count(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"inyeon_matching_{name}", labels)

    language = WISH.languages[0].tag
    group = {"language": language, "gender": "OTHER", "end": "CANCELLED"}
    assert count("group_wait_seconds_sum", **group) == pytest.approx(7.0)
    assert count("widening_offers_total", estimated="true") == 1
    ticket = Ticket("t", Person("x", AgeBand.ADULT, "US", Gender.MALE), WISH, "main", None)  # type: ignore[arg-type]
    strange = replace(
        ticket, wish=replace(WISH, languages=(replace(WISH.languages[0], tag="tlh"),))
    )
    scene.desk.meter.waited(strange, 3.0, TicketEnd.MATCHED)
    other = {"language": "other", "gender": "MALE", "end": "MATCHED"}
    assert count("group_wait_seconds_count", **other) == 1


async def test_a_device_says_widen_and_what_cannot_be_dropped_is_refused(scene: Any) -> None:
    offer = await starving(scene)
    claims = Claims("ana", "matching", scene.clock.now())
    caller = Caller("s", 1, claims)

    def said(*drops: matching_pb2.Filter.ValueType) -> Said:
        widen = matching_pb2.Widen(ticket_id=offer.ticket_id, drops=drops)
        return Said(matching_pb2.SeekRequest(widen=widen))

    for refused in (matching_pb2.FILTER_SIMILARITY, matching_pb2.FILTER_UNSPECIFIED):
        with pytest.raises(InvalidRequest, match="no filter") as error:
            await act(scene.desk, caller, said(matching_pb2.FILTER_COUNTRIES, refused))
        assert error.value.field == "widen.drops[1]"
    assert scene.desk.hall.ticket_of("ana").ticket_id == offer.ticket_id
    await act(scene.desk, caller, said(matching_pb2.FILTER_COUNTRIES))
    assert scene.desk.hall.ticket_of("ana").wish.countries == frozenset()
