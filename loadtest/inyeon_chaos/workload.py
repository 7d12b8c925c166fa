"""The process under test at the log level: real store, outbox, relay, log and consumer, and as
little else as can be.

    python -m inyeon_chaos.workload producer|consumer RUN NAME

The producer reads orders from stdin (`{"id", "key", "amount"}`), commits for each one a row, an
event and a new state of its key, and answers `{"done": id}`: from then on the order must have its
effect. The consumer applies both topics to its own database. Log and database come from the
INYEON_* settings; without them the embedded ones in INYEON_DATA_DIR.

CHAOS_SEEDED_BUGS names bugs of `Bug`, separated by commas, that these processes then have, so that
a test can show that the checker finds them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.log.consuming import ConsumePolicy, consume
from inyeon.runtime.log.port import Log, NewRecord, Record, TopicSpec
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.store.dialects import upsert
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import COUNTER, runtime_tables

PARTITIONS = 6
WORKERS = 8  # orders under way at once in one producer
TRY_AGAIN_S = 0.2

T = TypeVar("T")

PRODUCED = runtime_tables(MetaData())
orders = Table("orders", PRODUCED, Column("order_id", Text, primary_key=True))
totals = Table(
    "totals",
    PRODUCED,
    Column("key", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
)

CONSUMED = runtime_tables(MetaData())
# No key forbids a second line of an order: a double effect must be seen, not prevented.
journal = Table(
    "journal",
    CONSUMED,
    Column("seq", COUNTER, primary_key=True, autoincrement=True),
    Column("order_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)
balances = Table(
    "balances",
    CONSUMED,
    Column("key", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False),
)
states = Table(
    "states",
    CONSUMED,
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)


class Bug(Enum):
    """What a process under test does wrong on purpose, the first two with every fifth order."""

    ANSWERS_EARLY = "answers-early"
    """Acknowledges an order and never writes it, as if it had died before the commit."""
    APPLIES_TWICE = "applies-twice"
    """Has the effect twice, as if nobody noted what was applied."""
    STALE_STATE = "stale-state"
    """Holds the state before the newest one, as if a late record had won."""


BUG_EVERY = 5
BUGS = "CHAOS_SEEDED_BUGS"


def _has(bug: Bug) -> bool:
    return bug.value in os.environ.get(BUGS, "").split(",")


def _number(order_id: str) -> int:
    return int(order_id.rpartition("-")[2])


def events_topic(run: str) -> str:
    """One record an order."""
    return f"chaos.{run}.events"


def states_topic(run: str) -> str:
    """The newest total of each key."""
    return f"chaos.{run}.states"


def topics_of(run: str) -> tuple[TopicSpec, TopicSpec]:
    """Both topics. The states are not compacted, so that the checker sees each of them."""
    return TopicSpec(events_topic(run), PARTITIONS), TopicSpec(states_topic(run), PARTITIONS)


async def open_log(settings: RuntimeSettings) -> Log:
    """The log of the settings."""
    clock = SystemClock()
    if settings.kafka_servers:
        from inyeon.runtime.log.kafka import KafkaLog

        return await KafkaLog.open(settings, clock, CollectorRegistry())
    from inyeon.runtime.log.embedded import EmbeddedLog

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return await EmbeddedLog.open(settings.data_dir / "log.db", clock)


async def open_store(settings: RuntimeSettings, service: str, tables: MetaData) -> SqlStore:
    """The service's database."""
    url = settings.database_url.get_secret_value()
    where: str | Path = settings.data_dir / f"{service}.db"
    if url:
        where = url.format(service=service)
    return await SqlStore.open(where, tables, migrations=None, name=service)


class Producer:
    """Takes orders."""

    def __init__(self, run: str, store: SqlStore) -> None:
        self._run = run
        self._store = store

    async def take(self, order: dict[str, Any]) -> None:
        """Returns when the order is committed, now or earlier."""
        if _has(Bug.ANSWERS_EARLY) and _number(order["id"]) % BUG_EVERY == 0:
            return
        while True:
            try:
                async with self._store.transaction() as tx:
                    await self._write(tx, order)
                return
            except Unavailable:
                await asyncio.sleep(TRY_AGAIN_S)

    async def _write(self, tx: Transaction, order: dict[str, Any]) -> None:
        insert = upsert(tx.connection, orders).values(order_id=order["id"])
        added = await tx.connection.execute(insert.on_conflict_do_nothing())
        if not added.rowcount:
            return  # the same order again: its answer was lost
        key = order["key"]
        version = await tx.next_version(f"key:{key}")
        adding = upsert(tx.connection, totals).values(key=key, total=order["amount"])
        changed = await tx.connection.execute(
            adding.on_conflict_do_update(
                index_elements=["key"], set_={"total": totals.c.total + order["amount"]}
            ).returning(totals.c.total)
        )
        about = {"type": "chaos.Order", "schema_version": "1", "version": str(version)}
        event = {**about, "order_id": order["id"], "amount": str(order["amount"])}
        state = {**about, "total": str(changed.scalar_one())}
        await tx.emit(NewRecord(events_topic(self._run), key, b"order", event))
        await tx.emit(NewRecord(states_topic(self._run), key, b"state", state))


async def produce(run: str, name: str, settings: RuntimeSettings) -> None:
    """Takes orders from stdin until it ends."""
    log, store = await _open(run, settings, "producer", PRODUCED)
    relay = OutboxRelay(store, log, SystemClock(), owner=name)
    waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WORKERS * 4)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run())
        for _ in range(WORKERS):
            group.create_task(_work(Producer(run, store), waiting))
        _say({"ready": True})
        async for order in _stdin():
            await waiting.put(order)
        raise SystemExit(0)


async def _work(producer: Producer, waiting: asyncio.Queue[dict[str, Any]]) -> None:
    while True:
        order = await waiting.get()
        await producer.take(order)
        _say({"done": order["id"]})


async def consume_all(run: str, settings: RuntimeSettings) -> None:
    """Applies both topics until killed."""
    log, store = await _open(run, settings, "consumer", CONSUMED)
    consuming = consume(
        log,
        f"chaos-{run}",
        [spec.name for spec in topics_of(run)],
        apply,
        store=store,
        clock=SystemClock(),
        state_topics={states_topic(run)},
        policy=ConsumePolicy(max_records=64),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(consuming)
        _say({"ready": True})
        async for _ in _stdin():
            pass
        raise SystemExit(0)


async def apply(record: Record, tx: Transaction) -> None:
    """The effect of one record."""
    if record.topic.endswith(".states"):
        await _apply_state(record, tx)
        return
    await _apply_event(record, tx)
    if _has(Bug.APPLIES_TWICE) and _number(record.headers["order_id"]) % BUG_EVERY == 1:
        await _apply_event(record, tx)


async def _apply_event(record: Record, tx: Transaction) -> None:
    amount = int(record.headers["amount"])
    line = {
        "order_id": record.headers["order_id"],
        "key": record.key,
        "amount": amount,
        "version": int(record.headers["version"]),
    }
    await tx.connection.execute(journal.insert().values(line))
    adding = upsert(tx.connection, balances).values(key=record.key, balance=amount)
    await tx.connection.execute(
        adding.on_conflict_do_update(
            index_elements=["key"], set_={"balance": balances.c.balance + amount}
        )
    )


async def _apply_state(record: Record, tx: Transaction) -> None:
    """Written as it comes: that it is the newest is the ledger's promise, which is under test."""
    values = {"version": int(record.headers["version"]), "total": int(record.headers["total"])}
    if _has(Bug.STALE_STATE):
        values["version"] -= 1
    adding = upsert(tx.connection, states).values(key=record.key, **values)
    await tx.connection.execute(adding.on_conflict_do_update(index_elements=["key"], set_=values))


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def _open(
    run: str, settings: RuntimeSettings, service: str, tables: MetaData
) -> tuple[Log, SqlStore]:
    """Waits for engines that are away, as a process is started again until they are there."""
    log = await _patiently(lambda: open_log(settings))
    await _patiently(lambda: log.create_topics(topics_of(run)))
    return log, await _patiently(lambda: open_store(settings, service, tables))


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await call()
        except Unavailable as error:
            logging.warning("tries again: %s", error)
            await asyncio.sleep(TRY_AGAIN_S)


async def _stdin() -> AsyncIterator[dict[str, Any]]:
    """Lines of the driver. They end with it, so that no process stays behind."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def main() -> None:
    """Runs a role."""
    role, run, name = sys.argv[1:4]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    settings = RuntimeSettings(replica=name)
    work = produce(run, name, settings) if role == "producer" else consume_all(run, settings)
    asyncio.run(work)


if __name__ == "__main__":
    main()
