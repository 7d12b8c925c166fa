"""Two replicas on one PostgreSQL: what the services promise holds while both write at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy import MetaData, func, select

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.tables import TABLES as MATCHING
from inyeon.matching.adapters.tables import live_users, ticket_ends, verdicts
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.matches import LiveMatch, Side
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.matching.workload import synthetic_waiters
from inyeon.moderation.adapters.acks import SessionAcks
from inyeon.moderation.adapters.ledger import SqlLedger
from inyeon.moderation.adapters.policy_file import read_policy
from inyeon.moderation.adapters.tables import TABLES as MODERATION
from inyeon.moderation.adapters.tables import edges, stream_sessions
from inyeon.moderation.app.ports import NewReport
from inyeon.moderation.domain.cases import Decision
from inyeon.moderation.errors import CaseClosed
from inyeon.moderation.settings import DEFAULT_POLICY
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import NotAllowed
from inyeon.runtime.store.migrating import migrations_of
from inyeon.runtime.store.repeating import repeating
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox
from inyeon.runtime.streams.sessions_sql import StoreSessions

pytestmark = [pytest.mark.integration, pytest.mark.engine("postgresql")]

T = TypeVar("T")
CLOCK = SystemClock()
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
Replicas = tuple[SqlStore, SqlStore]


@asynccontextmanager
async def two(postgres: Any, service: str, tables: MetaData) -> AsyncIterator[Replicas]:
    """Two replicas that start at once on a new database."""
    name = f"two_{uuid.uuid4().hex}"
    await asyncio.to_thread(postgres.create, name)
    url, folder = postgres.url(name), migrations_of(service)
    opening = [
        SqlStore.open(url, tables, migrations=folder, name=service, connections=12) for _ in "ab"
    ]
    one, other = await asyncio.gather(*opening)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


@pytest.fixture
async def matching(postgres: Any) -> AsyncIterator[Replicas]:
    async with two(postgres, "matching", MATCHING) as replicas:
        yield replicas


@pytest.fixture
async def moderation(postgres: Any) -> AsyncIterator[Replicas]:
    async with two(postgres, "moderation", MODERATION) as replicas:
        yield replicas


def ledgers(replicas: Replicas) -> list[SqlLedger]:
    rules = read_policy(Path(DEFAULT_POLICY)).policy.opinions
    return [
        SqlLedger(s, SessionAcks(StoreSessions(s, stream_sessions, CLOCK)), CLOCK, rules)
        for s in replicas
    ]


async def both(*work: Awaitable[T]) -> list[T | BaseException]:
    return list(await asyncio.gather(*work, return_exceptions=True))


async def count(store: SqlStore, statement: Any) -> int:
    async with store.reading() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def test_versions_have_no_gaps(moderation: Replicas) -> None:
    seen: list[int] = []

    async def change(store: SqlStore, fails: bool) -> None:
        async with store.transaction() as tx:
            version = await tx.next_version("verdict:u")
            await asyncio.sleep(0)
            if fails:
                raise ValueError
            seen.append(version)

    done = await both(*[change(moderation[n % 2], n % 7 == 0) for n in range(140)])
    assert sum(isinstance(one, ValueError) for one in done) == 20
    assert sorted(seen) == list(range(1, 121))


async def test_a_session_opened_twice_at_once_has_two_epochs(moderation: Replicas) -> None:
    sessions = [StoreSessions(store, stream_sessions, CLOCK) for store in moderation]
    opened = await asyncio.gather(
        *[sessions[n % 2].open("observe", "u", f"c{n}", "s") for n in range(20)]
    )
    assert sorted(one.epoch for one in opened) == list(range(1, 21))
    assert sum(not one.resumed for one in opened) == 1


async def test_one_of_two_people_gets_a_session_id(moderation: Replicas) -> None:
    sessions = [StoreSessions(store, stream_sessions, CLOCK) for store in moderation]
    for n in range(10):
        done = await both(
            sessions[0].open("observe", "ana", "c", f"s{n}"),
            sessions[1].open("observe", "ben", "c", f"s{n}"),
        )
        assert sum(isinstance(one, NotAllowed) for one in done) == 1, done
    again = await sessions[0].open("observe", "ana", "c", "mine")
    other = await sessions[0].open("observe", "ben", "c", "theirs")
    assert again.epoch + other.epoch == 12, "the refused ones took no epoch"


def _match(match_id: str, pool: str, users: Sequence[str]) -> LiveMatch:
    spoken = (SpokenLanguage("en", 5),)
    one, other = (Side(user, spoken, "ES", 1.0) for user in users)
    return LiveMatch(match_id, pool, one, other, AT, ())


def _order(epoch: int, pool: str, *matches: LiveMatch) -> WaveOrder:
    proposals = tuple(
        Proposal(match, tuple(f"t-{user}" for user in match.users), (2 * n, 2 * n + 1), 1.0)  # type: ignore[arg-type]
        for n, match in enumerate(matches)
    )
    tickets = tuple(ticket for one in proposals for ticket in one.tickets)
    return WaveOrder(pool, epoch, 1, AT, tickets, proposals, "linear-1")


async def test_a_user_is_in_one_live_match_whatever_two_pools_decide(matching: Replicas) -> None:
    books = [SqlBook(store, timedelta(minutes=10), CLOCK) for store in matching]
    pools = ("north", "south")
    epochs = [await book.hold(pool, f"r{pool}", 0) for book, pool in zip(books, pools, strict=True)]
    people = [f"u{n:02}" for n in range(40)]
    for turn in range(5):
        orders = []
        for side, pool in enumerate(pools):
            ordered = people if side == 0 else list(reversed(people))
            shift = ordered[turn + side :] + ordered[: turn + side]
            pairs = [shift[n : n + 2] for n in range(0, 40, 2)]
            named = [_match(f"m{turn}-{side}-{n}", pool, pair) for n, pair in enumerate(pairs)]
            orders.append(_order(epochs[side] or 0, pool, *named))
        stood = await asyncio.gather(
            *[book.commit_wave(order) for book, order in zip(books, orders, strict=True)]
        )
        assert sum(len(one) for one in stood) == (20 if turn == 0 else 0)
    assert await count(matching[0], select(func.count()).select_from(live_users)) == 40


async def test_the_first_end_of_a_ticket_wins(matching: Replicas) -> None:
    books = [SqlBook(store, timedelta(minutes=10), CLOCK) for store in matching]
    for n in range(20):
        ticket = _ticket(f"t{n}")
        ended = await asyncio.gather(
            books[0].end_ticket(ticket, TicketEnd.CANCELLED, AT),
            books[1].end_ticket(ticket, TicketEnd.EXPIRED, AT),
        )
        assert sorted(ended) == [False, True]
    assert await count(matching[0], select(func.count()).select_from(ticket_ends)) == 20
    assert await count(matching[0], select(func.count()).select_from(outbox)) == 20


async def test_a_cancel_does_not_cost_a_wave(matching: Replicas) -> None:
    """A ticket that ends between a wave's look and its commit would fail all its pairs."""
    books = [SqlBook(store, timedelta(minutes=10), CLOCK) for store in matching]
    epoch = await books[0].hold("main", "r", 0) or 0
    for n in range(10):
        users = [f"u{n}-{k}" for k in range(20)]
        matches = [_match(f"m{n}-{k}", "main", users[2 * k : 2 * k + 2]) for k in range(10)]
        stood, ended = await asyncio.gather(
            books[0].commit_wave(_order(epoch, "main", *matches)),
            books[1].end_ticket(_ticket(f"t-{users[0]}"), TicketEnd.CANCELLED, AT),
        )
        assert len(stood) == (9 if ended else 10)


async def test_a_verdict_is_seen_by_the_wave_or_sees_its_match(matching: Replicas) -> None:
    books = [SqlBook(store, timedelta(minutes=10), CLOCK) for store in matching]
    epoch = await books[0].hold("main", "r", 0) or 0
    for n in range(20):
        users = [f"u{n}-a", f"u{n}-b"]

        async def protect(user: str) -> bool:
            await books[1].record_verdict(user, Verdict.PROTECT, 1)
            return (await books[1].facts([user], AT))[user].in_match

        stood, meets = await asyncio.gather(
            books[0].commit_wave(_order(epoch, "main", _match(f"m{n}", "main", users))),
            protect(users[0]),
        )
        assert bool(stood) == meets


async def test_of_versions_that_arrive_at_once_the_highest_stays(matching: Replicas) -> None:
    books = [SqlBook(store, timedelta(minutes=10), CLOCK) for store in matching]
    for n in range(20):
        kept = await asyncio.gather(
            *[books[v % 2].record_verdict(f"u{n}", Verdict.CLEAR, v) for v in (3, 1, 2, 4)]
        )
        assert kept[3]
    rows = select(func.min(verdicts.c.version))
    assert await count(matching[0], rows) == 4


def _ticket(ticket_id: str) -> Ticket:
    return replace(next(iter(synthetic_waiters(1, 1))).ticket, ticket_id=ticket_id)


async def test_the_chain_is_unbroken_while_many_decide(moderation: Replicas) -> None:
    books = ledgers(moderation)
    reports = [NewReport(f"r{n}", "b", f"u{n}", "m", "REASON", "") for n in range(30)]
    ids = await asyncio.gather(*[books[n % 2].report(one) for n, one in enumerate(reports)])
    deciding = [
        book.decide(case_id, "reviewer", Decision.CONFIRM, "") for case_id in ids for book in books
    ]
    auditing = [book.audit() for book in books for _ in range(5)]
    decided, audited = await asyncio.gather(both(*deciding), asyncio.gather(*auditing))
    assert sum(isinstance(one, CaseClosed) for one in decided) == 30
    assert sum(not isinstance(one, BaseException) for one in decided) == 30
    assert set(audited) == {None}, "a snapshot shows entries and head of one moment"
    assert await books[0].audit() is None


async def test_a_report_sent_twice_at_once_is_one(moderation: Replicas) -> None:
    books = ledgers(moderation)
    for n in range(10):
        one = NewReport(f"r{n}", "b", f"u{n}", "m", "REASON", "")
        ids = await asyncio.gather(*[book.report(one) for book in books for _ in range(3)])
        assert len(set(ids)) == 1
    edges_heard = select(func.count()).select_from(outbox).where(outbox.c.topic == "social.edges")
    assert await count(moderation[0], edges_heard) == 20


async def test_a_block_is_never_weakened_to_a_report(moderation: Replicas) -> None:
    books = ledgers(moderation)
    for n in range(15):
        report = NewReport(f"r{n}", f"a{n}", f"b{n}", "m", "REASON", "")
        await asyncio.gather(
            books[0].block(f"b{n}", f"a{n}"),
            books[1].report(report),
            books[1].block(f"a{n}", f"b{n}"),
        )
    weak = select(func.count()).select_from(edges).where(edges.c.kind != "BLOCK")
    assert await count(moderation[0], weak) == 0
    assert await count(moderation[0], select(func.count()).select_from(edges)) == 30


async def test_a_policy_is_published_once(moderation: Replicas) -> None:
    books = ledgers(moderation)
    loaded = read_policy(Path(DEFAULT_POLICY))
    done = await asyncio.gather(
        *[book.publish(loaded.policy, b"document") for book in books for _ in range(4)]
    )
    assert sorted(done) == [False] * 7 + [True]


async def test_two_who_wait_for_each_other_both_get_through(moderation: Replicas) -> None:
    """A ring made on purpose: the database gives way to one, and the other is done again."""
    met = asyncio.Barrier(2)
    tries: list[str] = []

    @repeating
    async def take(store: SqlStore, first: str, second: str) -> None:
        async with store.transaction() as tx:
            await tx.next_version(first)
            tries.append(first)
            if len(tries) <= 2:
                await met.wait()
            await tx.next_version(second)

    await asyncio.gather(take(moderation[0], "x", "y"), take(moderation[1], "y", "x"))
    assert len(tries) == 3
    async with moderation[0].transaction() as tx:
        assert [await tx.next_version("x"), await tx.next_version("y")] == [3, 3]


async def test_appended_rows_cannot_be_changed(moderation: Replicas) -> None:
    book = ledgers(moderation)[0]
    await book.decide(
        await book.report(NewReport("r", "b", "u", "m", "R", "")), "r", Decision.CONFIRM, ""
    )
    for statement in (
        "UPDATE moderation_decisions SET note = 'x'",
        "DELETE FROM moderation_decisions",
        "TRUNCATE moderation_decisions",
    ):
        with pytest.raises(Exception, match="append-only") as refused:
            async with moderation[0].transaction() as tx:
                await tx.connection.exec_driver_sql(statement)
        assert isinstance(refused.value.__cause__.__cause__, asyncpg.PostgresError)  # type: ignore[union-attr]
