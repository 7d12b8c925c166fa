"""Blocks by device over a real store: a new account on an old device changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.devices import DeviceHashes
from inyeon.matching.adapters.tables import TABLES
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.domain.matches import LiveMatch, Side
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.identity.signing import Ed25519Signer
from inyeon.runtime.store.migrating import migrations_of
from inyeon.runtime.store.sql import SqlStore

pytestmark = pytest.mark.contract

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = next(iter(synthetic_waiters(1, seed=1))).ticket


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def book(open_store: OpenStore) -> AsyncIterator[SqlBook]:
    async with open_store(TABLES, migrations=migrations_of("matching")) as store:
        yield SqlBook(store, timedelta(minutes=10), ManualClock(AT))


def seen(user: str, device: str) -> Ticket:
    person = Person(user, AgeBand.ADULT, "US", Gender.OTHER)
    return replace(BASE, ticket_id=f"t-{user}-{device}", person=person, device=device)


async def barred_from(book: SqlBook, user: str) -> set[str]:
    facts = await book.facts([user], AT)
    return set(facts[user].bars or ())


async def stands(book: SqlBook, epoch: int, one: str, other: str) -> bool:
    sides = Side(one, (), "", 0.0), Side(other, (), "", 0.0)
    match = LiveMatch(f"m-{one}-{other}", "main", *sides, AT, ())
    proposal = Proposal(match, (f"t-{one}", f"t-{other}"), (0, 1), 1.0)
    order = WaveOrder("main", epoch, 1, AT, proposal.tickets, (proposal,), "linear-1")
    return bool(await book.commit_wave(order))


async def test_a_block_holds_for_every_account_of_both_devices(book: SqlBook) -> None:
    await book.see_devices([seen("ana", "A"), seen("bob", "B")], AT)
    assert await book.record_edge("ana", "bob", "BLOCK", 1)
    await book.see_devices([seen("bob-2", "B"), seen("ana-2", "A"), seen("cid", "C")], AT)
    assert await barred_from(book, "bob-2") == {"ana", "ana-2", "bob"}
    assert await barred_from(book, "ana-2") == {"bob", "bob-2", "ana"}
    assert await barred_from(book, "cid") == set()
    assert await book.beside(["bob-2", "cid"]) == {"bob", "bob-2", "cid"}


async def test_the_commit_looks_at_devices_again(book: SqlBook) -> None:
    """The pool had not heard of the block, or of the second account."""
    epoch = await book.hold("main", "a", 0)
    assert epoch is not None
    people = ["ana A", "bob B", "bob-2 B", "cid C", "cid-2 C"]
    await book.see_devices([seen(*person.split()) for person in people], AT)
    await book.record_edge("ana", "bob", "BLOCK", 1)
    assert not await stands(book, epoch, "ana", "bob-2")
    assert not await stands(book, epoch, "bob-2", "ana")
    assert not await stands(book, epoch, "cid", "cid-2")
    assert await stands(book, epoch, "ana", "cid")
    assert await stands(book, epoch, "bob-2", "cid-2")


async def test_an_account_takes_its_blocks_to_its_next_device(book: SqlBook) -> None:
    await book.see_devices([seen("bob", "old")], AT)
    await book.record_edge("ana", "bob", "REPORT", 1)
    await book.see_devices([seen("bob", "new")], AT)
    await book.see_devices([seen("bob-2", "new")], AT)
    assert "ana" in await barred_from(book, "bob-2")


async def test_a_token_without_a_device_makes_nobody_a_twin(book: SqlBook) -> None:
    await book.see_devices([seen("ana", ""), seen("bob", "")], AT)
    assert await barred_from(book, "ana") == set()


async def test_seeing_a_device_again_changes_nothing(book: SqlBook) -> None:
    for _ in range(2):
        await book.see_devices([seen("ana", "A"), seen("ana", "A"), seen("ana-2", "A")], AT)
    assert await barred_from(book, "ana") == {"ana-2"}


async def test_thousands_of_blocks_hold_with_devices(book: SqlBook) -> None:
    count = 1_500  # several statements each way
    await book.see_devices([seen("ana", "A"), seen("ana-2", "A")], AT)
    strangers = [seen(f"s-{number}", f"D-{number}") for number in range(count)]
    await book.see_devices(strangers, AT)
    for ticket in strangers:
        await book.record_edge("ana", ticket.user_id, "BLOCK", 1)
    bars = await barred_from(book, "ana-2")
    assert len(bars) == count + 1


def test_a_hash_says_nothing_without_the_key() -> None:
    key = Ed25519PrivateKey.generate()
    mine, again = DeviceHashes(Ed25519Signer(key)), DeviceHashes(Ed25519Signer(key))
    others = DeviceHashes(Ed25519Signer(Ed25519PrivateKey.generate()))
    assert mine("phone") == again("phone") != others("phone")
    assert len(mine("phone")) == 32 and "phone" not in mine("phone")
    assert mine("phone") != mine("laptop")
    assert mine("") == ""
