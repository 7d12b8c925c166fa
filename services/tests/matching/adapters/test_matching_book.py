"""The book over a real store: what its keys promise, what it emits, and its tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.ownership import LEASE_S
from inyeon.matching.adapters.tables import TABLES, live_users, pool_owners
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.matches import EndReason, Explanation, LiveMatch, MatchReason, Side
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock, SystemClock
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import DECISIONS, MATCHES, OUTCOMES, TICKETS, all_specs
from inyeon.runtime.store.migrating import migration_differences, migrations_of
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.sql import SqlStore
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.contract

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[SqlStore]:
    async with open_store(TABLES, migrations=migrations_of("matching")) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def book(store: SqlStore, clock: ManualClock) -> SqlBook:
    return SqlBook(store, timedelta(minutes=10), clock)


def a_match(match_id: str, first: str, second: str) -> LiveMatch:
    spoken = (SpokenLanguage("es", 5), SpokenLanguage("en", 2))
    reasons = (Explanation(MatchReason.COMMON_LANGUAGE, 2.0, "en"),)
    one, other = Side(first, spoken, "ES", 3.5), Side(second, spoken[1:], "", 0.0)
    return LiveMatch(match_id, "main", one, other, AT, reasons)


def order(epoch: int, *matches: LiveMatch, at: datetime = AT) -> WaveOrder:
    proposals = tuple(
        Proposal(
            match,
            (f"t-{match.match_id}-1", f"t-{match.match_id}-2"),
            (2 * place, 2 * place + 1),
            1.5,
        )
        for place, match in enumerate(matches)
    )
    tickets = tuple(ticket for one in proposals for ticket in one.tickets)
    return WaveOrder("main", epoch, 7, at, tickets, proposals, "linear-1")


async def _owned(book: SqlBook) -> int:
    epoch = await book.hold("main", "a", 0)
    assert epoch is not None
    return epoch


def test_the_migration_makes_exactly_these_tables() -> None:
    assert migration_differences(TABLES, migrations_of("matching")) == []


async def test_a_pool_has_one_owner_until_its_lease_ends(
    book: SqlBook, clock: ManualClock, store: SqlStore
) -> None:
    assert await book.hold("main", "a", 0) == 1
    assert await book.hold("main", "b", 0) is None
    assert await book.hold("other", "b", 0) == 1
    await clock.advance(LEASE_S - 1)
    assert await book.hold("main", "a", 1) == 1  # renewed
    await clock.advance(LEASE_S - 1)
    assert await book.hold("main", "b", 0) is None
    await clock.advance(2)
    if store.has_many_writers:  # the server's clock decides there, and no test can move it
        async with store.transaction() as tx:
            await tx.connection.execute(update(pool_owners).values(expires_us=1))
    assert await book.hold("main", "b", 0) == 2
    assert await book.hold("main", "a", 1) is None


async def test_a_process_that_starts_again_takes_its_own_pool_at_once(book: SqlBook) -> None:
    assert [await book.hold("main", "a", 0), await book.hold("main", "a", 0)] == [1, 2]
    assert await book.hold("main", "a", -1) is None  # one that lost it waits


async def test_a_lease_given_up_is_free_at_once(book: SqlBook) -> None:
    await book.hold("main", "a", 0)
    await book.give_up("main", 7)  # not the newest: nothing
    assert await book.hold("main", "b", 0) is None
    await book.give_up("main", 1)
    assert await book.hold("main", "b", 0) == 2


async def test_marks_are_expected_once_one_was_read(book: SqlBook) -> None:
    assert not await book.marks_expected()
    await book.record_mark(3, AT)
    await book.record_mark(3, AT)
    assert await book.marks_expected()


async def test_a_live_match_comes_back_as_it_was(book: SqlBook) -> None:
    match = a_match("m", "ana", "bob")
    assert await book.commit_wave(order(await _owned(book), match)) == {"m"}
    assert await book.live_matches("main") == [match]
    assert await book.live_matches("other") == []
    assert (await book.facts(["ana"], AT))["ana"].in_match


async def test_the_database_itself_refuses_a_second_live_match(
    book: SqlBook, store: SqlStore
) -> None:
    epoch = await _owned(book)
    await book.commit_wave(order(epoch, a_match("m", "ana", "bob")))
    with pytest.raises(IntegrityError):
        async with store.transaction() as tx:
            row = {"user_id": "ana", "match_id": "n"}
            await tx.connection.execute(insert(live_users).values(row))


async def test_somebody_in_a_match_is_left_out_and_the_rest_stands(book: SqlBook) -> None:
    epoch = await _owned(book)
    await book.commit_wave(order(epoch, a_match("m", "ana", "bob")))
    later = order(epoch, a_match("n", "ana", "cid"), a_match("o", "dan", "eve"))
    assert await book.commit_wave(later) == {"o"}


async def test_a_race_past_the_second_look_writes_nothing(book: SqlBook, store: SqlStore) -> None:
    """Two pairs with one person: the look sees nothing wrong, the key does."""
    epoch = await _owned(book)
    assert not await book.commit_wave(order(epoch, a_match("m", "a", "b"), a_match("n", "b", "c")))
    async with store.reading() as connection:
        assert list(await connection.scalars(select(live_users.c.user_id))) == []
    assert await book.live_matches("main") == []


async def test_people_who_met_are_barred_until_the_horizon_after_the_end(book: SqlBook) -> None:
    epoch = await _owned(book)
    match = a_match("m", "zoe", "bob")
    await book.commit_wave(order(epoch, match))
    ended = AT + timedelta(minutes=5)
    assert await book.end_match(match, EndReason.LEFT, "zoe", ended, frozenset())
    until = ended + timedelta(minutes=10)
    facts = await book.facts(["bob", "zoe"], ended)
    assert facts["bob"].bars == {"zoe": until} and facts["zoe"].bars == {"bob": until}
    just_before = until - timedelta(seconds=1)
    again = a_match("n", "bob", "zoe")
    assert not await book.commit_wave(order(epoch, again, at=just_before))
    assert await book.commit_wave(order(epoch, again, at=until)) == {"n"}


async def test_a_match_ends_once(book: SqlBook) -> None:
    epoch = await _owned(book)
    match = a_match("m", "ana", "bob")
    await book.commit_wave(order(epoch, match))
    blamed = frozenset({"bob"})
    assert await book.end_match(match, EndReason.LOST, "", AT, blamed)
    assert not await book.end_match(match, EndReason.LEFT, "ana", AT, blamed)
    assert await book.credit("ana", AT) == 3.5
    await book.commit_wave(order(epoch, a_match("n", "ana", "cid")))
    assert await book.credit("ana", AT) == 0.0  # used


async def test_the_first_end_of_a_ticket_wins(book: SqlBook) -> None:
    ticket = next(iter(synthetic_waiters(1, 1))).ticket
    assert await book.end_ticket(ticket, TicketEnd.CANCELLED, AT)
    assert not await book.end_ticket(ticket, TicketEnd.EXPIRED, AT)
    assert (await book.look((), [ticket.ticket_id, "other"], AT))[1] == {ticket.ticket_id}


async def test_what_the_log_hears_of_a_match(book: SqlBook, store: SqlStore) -> None:
    log = MemoryLog()
    await log.create_topics(all_specs())
    epoch = await _owned(book)
    match = a_match("m", "ana", "bob")
    await book.commit_wave(order(epoch, match))
    await book.end_match(match, EndReason.LEFT, "bob", AT + timedelta(seconds=9), frozenset())
    await OutboxRelay(store, log, SystemClock(), owner="test").drain()

    live, ended = await records(log, MATCHES)
    began, over = decode(live, events_pb2.MatchLive), decode(ended, events_pb2.MatchEnded)
    assert (began.user_a, began.user_b, began.version) == ("ana", "bob", 1)
    assert (over.match_id, over.ended_by, over.version) == ("m", "bob", 2)
    outcomes = [decode(one, events_pb2.MatchOutcome) for one in await records(log, OUTCOMES)]
    assert {one.user_id: one.ended_by_user for one in outcomes} == {"ana": False, "bob": True}
    assert {one.duration_s for one in outcomes} == {9.0}
    (decided,) = [decode(one, events_pb2.WaveDecided) for one in await records(log, DECISIONS)]
    assert list(decided.tickets) == ["t-m-1", "t-m-2"] and list(decided.pairs) == [0, 1]
    assert decided.wave == epoch << 32 | 7
    tickets = await records(log, TICKETS)
    assert all(is_type(one, events_pb2.TicketEnded) for one in tickets)
    assert [decode(one, events_pb2.TicketEnded).user_id for one in tickets] == ["ana", "bob"]


async def test_a_newer_version_of_a_fact_wins_and_a_repeat_counts(book: SqlBook) -> None:
    for kind, version, holds in (("BLOCK", 2, True), ("REPORT", 1, False), ("BLOCK", 2, True)):
        assert await book.record_edge("ana", "bob", kind, version) is holds
    assert (await book.facts(["bob"], AT))["bob"].bars == {"ana": None}
    until = AT + timedelta(hours=1)
    assert await book.record_sanction("ana", until, 1)
    assert (await book.facts(["ana"], AT))["ana"].sanctioned_until == until
    match = a_match("m", "ana", "cid")
    epoch = await _owned(book)
    assert not await book.commit_wave(order(epoch, match))
    assert await book.commit_wave(order(epoch, match, at=until)) == {"m"}


async def test_a_block_either_way_keeps_a_pair_out_of_the_commit(book: SqlBook) -> None:
    epoch = await _owned(book)
    await book.record_edge("bob", "ana", "BLOCK", 1)
    assert not await book.commit_wave(order(epoch, a_match("m", "ana", "bob")))
    swapped = replace(a_match("n", "bob", "ana"))
    assert not await book.commit_wave(order(epoch, swapped))


async def records(log: MemoryLog, topic: str) -> list[Record]:
    reader = await log.read_all([topic])
    found = list(await reader.poll(100, 0.0))
    await reader.close()
    return found
