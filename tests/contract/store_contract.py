"""What every store must do. An adapter's test module subclasses `StoreContract` and opens its store
over `TABLES`.

    class TestPostgresStore(StoreContract):
        @pytest.fixture
        async def store(self) -> AsyncIterator[Store]: ...

        async def drain(self, store, log) -> int: ...

The database is empty at the beginning of each test.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.errors import InvalidRecord, LogUnavailable, RecordTooLarge, StoreUnavailable
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import Log, NewRecord, Record, TopicSpec
from inyeon.runtime.store import many
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.tables import runtime_tables

TABLES = runtime_tables(MetaData())
people = Table(
    "people",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("age", BigInteger, nullable=False),
)
TOPIC = "contract.people"


class StoreContract(ABC):
    """Subclass it once for each adapter."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> AsyncIterator[Store]:
        """An open, empty store over `TABLES`."""

    @abstractmethod
    async def drain(self, store: Store, log: Log) -> int:
        """Runs the store's relay until its outbox is empty; returns how many events it
        published."""

    async def test_state_and_event_are_committed_together(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name="Ana", age=30))
            await tx.emit(NewRecord(TOPIC, "Ana", b"born"))
        assert await _names(store) == ["Ana"]
        assert [r.value for r in await self._published(store)] == [b"born"]

    async def test_a_rollback_drops_state_and_events(self, store: Store) -> None:
        with pytest.raises(ValueError, match="changed my mind"):
            async with store.transaction() as tx:
                await tx.connection.execute(insert(people).values(name="Ana", age=30))
                await tx.next_version("person:Ana")
                await tx.emit(NewRecord(TOPIC, "Ana", b"born"))
                raise ValueError("changed my mind")
        assert await _names(store) == []
        assert await self._published(store) == []
        async with store.transaction() as tx:
            assert await tx.next_version("person:Ana") == 1

    async def test_a_cancelled_transaction_rolls_back(self, store: Store) -> None:
        written = asyncio.Event()

        async def hang() -> None:
            async with store.transaction() as tx:
                await tx.connection.execute(insert(people).values(name="Ana", age=30))
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await _names(store) == []
        await _add(store, "Ben")
        assert await _names(store) == ["Ben"]

    async def test_a_transaction_cancelled_at_any_moment_holds_no_lock(self, store: Store) -> None:
        async def raise_version() -> None:
            async with store.transaction() as tx:
                await tx.next_version("person:Ana")

        cancelled = []
        for turns in range(60):
            task = asyncio.create_task(raise_version())
            for _ in range(2 * turns):
                await asyncio.sleep(0)
            task.cancel()
            cancelled.append(task)  # its traceback keeps what it was doing alive
            await asyncio.wait({task})
            await asyncio.wait_for(raise_version(), 2.0)  # the wait for a lock is 5 s

    async def test_readers_see_only_what_is_committed(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name="Ana", age=30))
            assert await _names(store) == []
            assert await _select(tx.connection) == ["Ana"]
        assert await _names(store) == ["Ana"]

    async def test_one_question_sees_what_is_committed(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name="Ana", age=30))
            async with store.reading(once=True) as connection:
                assert await _select(connection) == []
        async with store.reading(once=True) as connection:
            assert await _select(connection) == ["Ana"]
        await _add(store, "Ben")  # whoever reads next is in a transaction again
        async with store.reading() as connection:
            assert await _select(connection) == ["Ana", "Ben"]

    @pytest.mark.parametrize("once", [False, True])
    async def test_a_reader_may_not_write(self, store: Store, once: bool) -> None:
        with pytest.raises(Exception, match=r"readonly|read-only"):
            async with store.reading(once=once) as connection:
                await connection.execute(insert(people).values(name="Ana", age=30))
        assert await _names(store) == []

    async def test_many_rows_are_added_put_and_kept(self, store: Store) -> None:
        old = [{"name": f"p{n}", "age": n} for n in range(50)]
        new = [{"name": f"p{n}", "age": 100 + n} for n in range(49, 60)]
        async with store.transaction() as tx:
            await many.add(tx.connection, people, old)
            await many.keep(tx.connection, people, new, key=["name"])
            kept = await _ages(tx.connection)
            await many.put(tx.connection, people, new, key=["name"])
            put = await _ages(tx.connection)
        before = {row["name"]: row["age"] for row in old}
        after = {row["name"]: row["age"] for row in new}
        assert kept == after | before
        assert put == before | after
        with pytest.raises(IntegrityError):
            async with store.transaction() as tx:
                await many.add(tx.connection, people, old[:1])

    async def test_versions_of_a_fact_have_no_gaps(self, store: Store) -> None:
        seen: dict[str, list[int]] = {"a": [], "b": []}

        async def change(fact: str, fails: bool) -> None:
            try:
                async with store.transaction() as tx:
                    version = await tx.next_version(fact)
                    await asyncio.sleep(0)
                    if fails:
                        raise ValueError
                    seen[fact].append(version)
            except ValueError:
                pass

        changes = [change("ab"[i % 2], i % 5 == 0) for i in range(60)]
        await asyncio.gather(*changes)
        assert [sorted(versions) for versions in seen.values()] == [list(range(1, 25))] * 2

    async def test_versions_of_many_facts_are_raised_together(self, store: Store) -> None:
        seen: dict[str, list[int]] = {fact: [] for fact in "abc"}

        async def change(facts: str) -> None:
            async with store.transaction() as tx:
                versions = await tx.next_versions(facts)
                assert set(versions) == set(facts)
                for fact, version in versions.items():
                    seen[fact].append(version)

        await asyncio.gather(*[change(facts) for facts in ("abc", "cba", "bb", "") * 10])
        assert [len(versions) for versions in seen.values()] == [20, 30, 20]
        assert all(sorted(each) == list(range(1, len(each) + 1)) for each in seen.values())
        async with store.transaction() as tx:
            assert await tx.next_version("b") == 31

    async def test_many_writers_all_succeed(self, store: Store) -> None:
        await asyncio.gather(*[_add(store, f"p{i:03}") for i in range(100)])
        assert len(await _names(store)) == 100

    async def test_events_of_a_fact_are_published_in_the_order_of_its_versions(
        self, store: Store
    ) -> None:
        async def change(i: int) -> None:
            async with store.transaction() as tx:
                version = await tx.next_version(f"fact{i % 3}")
                await asyncio.sleep(0)
                headers = {"version": str(version)}
                await tx.emit(NewRecord(TOPIC, f"fact{i % 3}", b"v", headers))

        await asyncio.gather(*[change(i) for i in range(60)])
        published = await self._published(store)
        for fact in range(3):
            versions = [int(r.headers["version"]) for r in published if r.key == f"fact{fact}"]
            assert versions == list(range(1, 21))

    async def test_events_of_a_transaction_keep_their_order(self, store: Store) -> None:
        async with store.transaction() as tx:
            for i in range(10):
                await tx.emit(NewRecord(TOPIC, "k", f"{i}".encode()))
        assert [r.value for r in await self._published(store)] == [
            f"{i}".encode() for i in range(10)
        ]

    async def test_an_event_arrives_whole(self, store: Store) -> None:
        headers = {"event_id": "e1", "occurred_at": "then", "Größe": "大きい"}
        async with store.transaction() as tx:
            await tx.emit(NewRecord(TOPIC, "ké🙂", None, headers, partition_key="pool"))
            await tx.emit(NewRecord(TOPIC, "k", b"\x00"))
        tombstone, plain = sorted(await self._published(store), key=lambda r: r.value or b"")
        assert (tombstone.key, tombstone.value, dict(tombstone.headers)) == ("ké🙂", None, headers)
        assert plain.headers["event_id"]
        assert plain.headers["occurred_at"]

    async def test_an_event_that_the_log_would_refuse_is_refused_at_once(
        self, store: Store
    ) -> None:
        for bad, error in (
            (NewRecord(TOPIC, "", b"v"), InvalidRecord),
            (NewRecord(TOPIC, "k", bytes(300_000)), RecordTooLarge),
        ):
            with pytest.raises(error):
                async with store.transaction() as tx:
                    await tx.emit(bad)
        assert await self._published(store) == []

    async def test_an_outage_of_the_log_delays_events_and_keeps_their_order(
        self, store: Store
    ) -> None:
        log = await _log()
        log.outage = True
        for i in range(3):
            async with store.transaction() as tx:
                await tx.emit(NewRecord(TOPIC, "k", f"{i}".encode()))
        with pytest.raises(LogUnavailable):
            await self.drain(store, log)
        log.outage = False
        assert await self.drain(store, log) == 3
        assert await self.drain(store, log) == 0
        assert [r.value for r in await _everything(log)] == [b"0", b"1", b"2"]

    async def test_a_broken_constraint_is_said_as_it_is(self, store: Store) -> None:
        await _add(store, "Ana")
        with pytest.raises(IntegrityError):
            await _add(store, "Ana")
        assert await _names(store) == ["Ana"]

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailable):
            await _add(store, "Ana")
        with pytest.raises(StoreUnavailable):
            await _names(store)

    async def _published(self, store: Store) -> list[Record]:
        log = await _log()
        await self.drain(store, log)
        return await _everything(log)


async def _log() -> MemoryLog:
    log = MemoryLog()
    await log.create_topics([TopicSpec(TOPIC, partitions=2, compacted=True)])
    return log


async def _everything(log: Log) -> list[Record]:
    return list(await (await log.read_all([TOPIC])).poll(10_000, 0.0))


async def _add(store: Store, name: str) -> None:
    async with store.transaction() as tx:
        await tx.connection.execute(insert(people).values(name=name, age=1))


async def _names(store: Store) -> list[str]:
    async with store.reading() as connection:
        return await _select(connection)


async def _select(connection: AsyncConnection) -> list[str]:
    rows = await connection.execute(select(people.c.name).order_by(people.c.name))
    return [str(name) for name in rows.scalars()]


async def _ages(connection: AsyncConnection) -> dict[str, int]:
    rows = await connection.execute(select(people))
    return {row.name: row.age for row in rows}
