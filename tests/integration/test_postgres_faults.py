"""A PostgreSQL that is restarted, cut off, full or slow: what callers of the store are told, and
that it comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, MetaData, Table, Text, insert, select, text

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import (
    InvalidRequest,
    MigrationFailed,
    SettingsRefused,
    StoreBusy,
    StoreUnavailable,
)
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import NewRecord, TopicSpec
from inyeon.runtime.store import postgres as limits
from inyeon.runtime.store.migrating import differences, migrations_of, write_revision
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.sql import SqlStore, open_service_store
from inyeon.runtime.store.tables import outbox, runtime_tables
from inyeon_stack.errors import EngineMissing
from inyeon_stack.postgres import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.engine("postgresql")]

TABLES = runtime_tables(MetaData())
people = Table("people", TABLES, Column("name", Text, primary_key=True))
Make = Callable[..., Awaitable[SqlStore]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Generator[Postgres, None, None]:
    """A server of this module's own, because it is killed and filled up."""
    folder = Path(tmp_path_factory.mktemp("postgres-own"))
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    server = Postgres(folder / "data", durable=False)
    try:
        server.start()
    except EngineMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture
async def make(own: Postgres) -> AsyncIterator[Make]:
    """Opens stores on the server; on one new database unless told another."""
    name = f"faults_{uuid.uuid4().hex}"
    await asyncio.to_thread(own.create, name)
    async with AsyncExitStack() as stack:

        async def made(**options: Any) -> SqlStore:
            options = {"migrations": None, "connections": 3} | options
            store = await SqlStore.open(own.url(name), TABLES, **options)
            stack.push_async_callback(store.close)
            return store

        made.url = own.url(name)  # type: ignore[attr-defined]
        made.database = name  # type: ignore[attr-defined]
        yield made


async def add(store: SqlStore, name: str) -> None:
    async with store.transaction() as tx:
        await tx.connection.execute(insert(people).values(name=name))
        await tx.emit(NewRecord("t", name, b"v"))


async def names(store: SqlStore) -> list[str]:
    async with store.reading() as connection:
        return list(await connection.scalars(select(people.c.name).order_by(people.c.name)))


async def until_it_works(work: Callable[[], Awaitable[object]]) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            await work()
            return
        except StoreUnavailable:
            assert time.monotonic() < deadline_s, "it never came back"
            await asyncio.sleep(0.05)


async def test_cut_connections_cost_nobody_a_second_error(make: Make, own: Postgres) -> None:
    store = await make(connections=8)
    await add(store, "Ana")
    for n in range(3):
        assert await asyncio.to_thread(own.cut_connections, make.database) > 0  # type: ignore[attr-defined]
        errors = 0
        for k in range(6):
            try:
                await add(store, f"p{n}{k}")
                await names(store)
            except StoreUnavailable:
                errors += 1
        assert errors <= 1


async def test_a_transaction_that_is_cut_says_so_and_keeps_nothing(
    make: Make, own: Postgres
) -> None:
    store = await make()
    with pytest.raises(StoreUnavailable):
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name="Ana"))
            await asyncio.to_thread(own.cut_connections, make.database)  # type: ignore[attr-defined]
            await tx.connection.execute(insert(people).values(name="Ben"))
    assert await names(store) == []


async def test_a_commit_that_is_cut_says_that_nobody_knows(make: Make, own: Postgres) -> None:
    store = await make()
    with pytest.raises(StoreUnavailable):
        async with store.transaction() as tx:
            await tx.connection.execute(insert(people).values(name="Ana"))
            await asyncio.to_thread(own.cut_connections, make.database)  # type: ignore[attr-defined]
    await add(store, "Ben")
    assert await names(store) == ["Ben"]


async def test_a_server_that_is_killed_and_comes_back(make: Make, own: Postgres) -> None:
    store = await make(connections=6)
    await add(store, "Ana")
    await asyncio.to_thread(own.kill)
    for attempt in (lambda: add(store, "Ben"), lambda: names(store)):
        with pytest.raises(StoreUnavailable):
            await attempt()
    with pytest.raises(StoreUnavailable):
        await make()
    await asyncio.to_thread(own.start)
    await until_it_works(lambda: names(store))
    await add(store, "Cid")
    assert "Cid" in await names(store)


async def test_a_relay_comes_back_with_its_server_and_loses_nothing(
    make: Make, own: Postgres
) -> None:
    store, log = await make(connections=6), MemoryLog()
    await log.create_topics([TopicSpec("t", 1)])
    relay = OutboxRelay(store, log, SystemClock(), owner="one")
    running = asyncio.create_task(relay.run())
    await add(store, "before")
    await asyncio.to_thread(own.stop)
    await asyncio.to_thread(own.start)
    await until_it_works(lambda: add(store, "after"))
    reader = await log.read_all(["t"])
    heard: list[str] = []
    async with asyncio.timeout(20):
        while "after" not in heard:
            heard += [record.key for record in await reader.poll(100, 0.1)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sorted(set(heard)) == ["after", "before"]


class Swallowing:
    """A network that, when told so, carries questions to the server and loses the answers."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.swallows = False
        self._work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Swallowing:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _carry(self, ours: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        theirs, inwards = await asyncio.open_connection("127.0.0.1", self._to)
        for pair in ((ours, inwards, False), (theirs, out, True)):
            task = asyncio.create_task(self._pump(*pair))
            self._work.add(task)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool
    ) -> None:
        try:
            while data := await source.read(65_536):
                if not (answers and self.swallows):
                    target.write(data)
                    await target.drain()
        except OSError:
            pass
        finally:
            target.close()


async def test_a_commit_whose_answer_is_lost(
    make: Make, own: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's own limit ends the wait; what was written may be there, and is."""
    monkeypatch.setattr(limits, "COMMAND_S", 1.0)
    async with Swallowing(own.port) as network:
        url = make.url.replace(f":{own.port}/", f":{network.port}/")  # type: ignore[attr-defined]
        store = await SqlStore.open(url, TABLES, migrations=None, connections=3)
        try:
            began_s = time.monotonic()
            with pytest.raises(StoreUnavailable):
                async with store.transaction() as tx:
                    await tx.connection.execute(insert(people).values(name="Ana"))
                    network.swallows = True
            assert time.monotonic() - began_s < 10
            network.swallows = False
            await until_it_works(lambda: names(store))
            assert await names(store) == ["Ana"]
        finally:
            await store.close()


@pytest.mark.parametrize("use", [names, lambda store: add(store, "Ben")], ids=["read", "write"])
async def test_between_a_servers_last_words_and_the_end_of_its_stream(
    make: Make, monkeypatch: pytest.MonkeyPatch, use: Callable[[SqlStore], Awaitable[object]]
) -> None:
    """The driver then raises neither an error of the database nor one of the network."""

    async def refuse(*_: object, **__: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2)")

    store = await make()
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "prepare", refuse)
        with pytest.raises(StoreUnavailable):
            await use(store)
    await use(store)


async def test_a_doorbell_survives_whatever_the_driver_raises(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        refused.set()
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2)")

    refused, here, there = asyncio.Event(), await make(), await make()
    heard = there.outbox_events()
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "execute", refuse)
        there.listen()
        async with asyncio.timeout(20):
            await refused.wait()
    async with asyncio.timeout(20):
        while not heard.is_set():
            await add(here, uuid.uuid4().hex)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), 0.2)


async def test_no_free_connection_is_busy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POOL_WAIT_S", 0.1)
    store = await make()
    async with store.transaction():
        with pytest.raises(StoreBusy, match="no connection"):
            await add(store, "Ana")


async def test_a_locked_row_is_busy(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOCK_WAIT_S", 0.1)
    store, other = await make(), await make()
    async with store.transaction() as tx:
        await tx.next_version("fact")
        with pytest.raises(StoreBusy, match="not free in time"):
            async with other.transaction() as second:
                await second.next_version("fact")


async def test_a_slow_statement_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STATEMENT_S", 0.1)
    store = await make()
    with pytest.raises(StoreBusy, match="too long"):
        async with store.reading() as connection:
            await connection.execute(text("SELECT pg_sleep(5)"))
    assert await names(store) == []


async def test_who_stands_still_loses_the_rows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_IN_TRANSACTION_S", 0.2)
    store, other = await make(), await make()
    free = asyncio.Event()
    with pytest.raises(StoreUnavailable):
        async with store.transaction() as tx:
            await tx.next_version("fact")

            async def wait_for_it() -> None:
                async with other.transaction() as second:
                    assert await second.next_version("fact") == 1
                free.set()

            waiting = asyncio.create_task(wait_for_it())
            async with asyncio.timeout(10):
                await free.wait()
    await waiting


async def test_a_text_that_is_none_is_the_callers_mistake(make: Make) -> None:
    store = await make()
    with pytest.raises(InvalidRequest) as refused:
        await add(store, "A\x00na")
    assert refused.value.reason == "TEXT_REFUSED"


async def test_more_connections_than_the_server_has_are_refused_at_start(make: Make) -> None:
    with pytest.raises(SettingsRefused, match=r"needs 900 connections and \d+ are free") as refused:
        await make(connections=900)
    assert refused.value.field == "INYEON_DATABASE_CONNECTIONS"


async def test_what_others_hold_counts(make: Make, own: Postgres) -> None:
    admin = await asyncpg.connect(own.url("postgres"))
    most = int(await admin.fetchval("SELECT current_setting('max_connections')"))
    reserved = int(await admin.fetchval("SELECT current_setting('superuser_reserved_connections')"))
    await admin.close()
    half = (most - reserved) // 2 + 2
    holder = await make(connections=half)
    with pytest.raises(SettingsRefused, match="lower INYEON_DATABASE_CONNECTIONS"):
        await make(connections=half)
    await add(holder, "Ana")  # the refused one has let everything go
    await make(connections=3)


async def test_two_that_start_at_once_where_one_fits(make: Make, own: Postgres) -> None:
    admin = await asyncpg.connect(own.url("postgres"))
    most = int(await admin.fetchval("SELECT current_setting('max_connections')"))
    await admin.close()
    opened = await asyncio.gather(
        *[make(connections=most // 2 + 10) for _ in "ab"], return_exceptions=True
    )
    refused = [one for one in opened if isinstance(one, BaseException)]
    assert refused
    assert all(isinstance(one, SettingsRefused | StoreUnavailable) for one in refused)


async def test_a_database_that_is_not_there(own: Postgres) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await SqlStore.open(own.url("nowhere"), TABLES, migrations=None)


async def test_a_wrong_password_is_said_without_it(own: Postgres) -> None:
    url = f"postgresql://postgres:hunter2@127.0.0.1:{own.port}/postgres"
    with pytest.raises(StoreUnavailable) as refused:
        await SqlStore.open(url, TABLES, migrations=None)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("service", ["matching", "moderation", "translation"])
async def test_the_revisions_of_a_service_make_exactly_its_tables(
    make: Make, own: Postgres, service: str
) -> None:
    tables = _tables_of(service)
    address = limits.Address.parse(make.url)  # type: ignore[attr-defined]
    engine = limits.migrating_engine(address, service)
    async with engine.begin() as connection:
        assert await connection.run_sync(differences, tables, migrations_of(service)) == []
    await engine.dispose()


async def test_a_service_opens_its_own_database(own: Postgres, tmp_path: Path) -> None:
    await asyncio.to_thread(own.create, "own_translation")
    store = await open_service_store(
        "translation",
        _tables_of("translation"),
        tmp_path,
        database_url=own.url("own_{service}"),
        connections=3,
    )
    async with store.reading() as connection:
        assert await connection.scalar(text("SELECT current_database()")) == "own_translation"
    await store.close()


async def test_many_that_migrate_at_once_all_find_the_tables(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "revisions"
    await asyncio.to_thread(write_revision, TABLES, folder, "first tables")
    stores = await asyncio.gather(*[make(migrations=folder) for _ in range(5)])
    await add(stores[0], "Ana")
    assert await names(stores[4]) == ["Ana"]


async def test_a_migration_that_takes_too_long_elsewhere(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inyeon.runtime.store import migrating

    monkeypatch.setattr(migrating, "MIGRATION_WAIT_S", 0.2)
    engine = limits.migrating_engine(limits.Address.parse(make.url), "other")  # type: ignore[attr-defined]
    async with engine.begin() as connection:
        await migrating.alone(connection)
        with pytest.raises(StoreBusy):
            await make()
    await engine.dispose()
    await make()


async def test_a_failing_revision_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "revisions"
    written = await asyncio.to_thread(write_revision, TABLES, folder, "first tables")
    broken = '    op.execute("SELECT nonsense")\n\n\ndef downgrade'
    written.write_text(written.read_text().replace("def downgrade", broken, 1))
    with pytest.raises(MigrationFailed, match="nonsense"):
        await make(migrations=folder)
    connection = await asyncpg.connect(make.url)  # type: ignore[attr-defined]
    there = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE relname IN ('outbox', 'people', 'alembic_version')"
    )
    await connection.close()
    assert there == 0


async def test_the_outbox_is_cleaned_by_number(make: Make) -> None:
    store = await make()
    async with store.reading() as connection:
        options = await connection.scalar(
            text("SELECT reloptions FROM pg_class WHERE oid = 'outbox'::regclass")
        )
        assert "autovacuum_vacuum_scale_factor=0" in options
        assert (await connection.execute(select(outbox))).all() == []


def _tables_of(service: str) -> MetaData:
    if service == "matching":
        from inyeon.matching.adapters.tables import TABLES as MATCHING

        return MATCHING
    if service == "moderation":
        from inyeon.moderation.adapters.tables import TABLES as MODERATION

        return MODERATION
    from inyeon.translation.adapters.tables import TABLES as TRANSLATION

    return TRANSLATION
