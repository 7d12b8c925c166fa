"""The relay: takes committed events out of a store's outbox into the log, in commit order, at least
once.

Publish, then delete: a crash between the two publishes the batch again with the same `event_id` and
`version`, which consumers ignore. One relay at a time holds the lease of a shard; taking it raises
an epoch. A relay whose lease is over gives up the publish under way and deletes nothing, because
the delete renews the lease under its row lock first. What such a publish still brings into the log
are repetitions.

Why the order is right, also where many transactions commit at once: `outbox_rows`. A store's outbox
may be split among several relays by the hash of the key (PostgreSQL): order then holds within a
shard, and a record whose key begins with BARRIER waits for the earlier ones of all shards.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import BigInteger, Row, Select, cast, delete, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogError, LogUnavailable, SettingsRefused, Unavailable
from inyeon.runtime.log.port import Log, NewRecord
from inyeon.runtime.log.waiting import wait_for_event
from inyeon.runtime.store.dialects import microseconds, one_of
from inyeon.runtime.store.leases import LEASE_S, RENEW_S, Lease, renewal
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox

BARRIER = "watermark/"
"""Keys that begin so tell how far the log is: everything committed before is published before."""

# Of 1 kB each: one write of a megabyte, five of them a second at 5,000 events/s. Reading and
# deleting take some 10 ms of each, so they are a twentieth of the work.
BATCH = 1_000
IDLE_S = 1.0  # looks by itself: a wake-up may be lost with the process that rang
# Between the starts of two publishes: one costs hardly less for one event than for fifty, and an
# event waits 5 ms longer on average. By the loop's time: it spares the machine, whatever the clock
# says. What was published last is forgotten, and the next read, at the end of it.
GAP_S = 0.005
# On a file there is one process, mostly, whose services care less for 15 ms than for a core.
FILE_GAP_S = 0.03
# How long what was published may stay for the next commit to come: a crash repeats so much more.
FORGET_S = 0.05
OTHERS_S = 0.02  # a barrier waits for another shard, whose progress nobody tells
MEASURE_S = 1.0  # counting a backlog of a million takes 50 ms
SPARE_S = 0.5  # of the lease, in which a publish that is given up is really over
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0  # after an outage of minutes the outbox drains at most 5 s late
WELL_S = LEASE_S + 2 * LONGEST_BACKOFF_S  # two attempts in a row may fail

_logger = logging.getLogger(__name__)


class RelayMetrics:
    """What an operator sees of all relays of a process. Build it once for each registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["store"]
        depth, age_s = "inyeon_outbox_depth", "inyeon_outbox_age_seconds"
        self.depth = Gauge(depth, "Events waiting in the outbox", labels, registry=registry)
        self.age_s = Gauge(age_s, "Age of the oldest event", labels, registry=registry)
        published, failures = "inyeon_outbox_published", "inyeon_outbox_failures"
        self.published = Counter(published, "Events put into the log", labels, registry=registry)
        self.failures = Counter(failures, "Batches that failed", labels, registry=registry)


class OutboxRelay:
    """The relay of one shard of one store. `run` it as a task; it ends only by cancellation."""

    def __init__(
        self,
        store: SqlStore,
        log: Log,
        clock: Clock,
        *,
        owner: str,
        metrics: RelayMetrics | None = None,
        shard: int = 0,
        shards: int = 1,
    ) -> None:
        """`owner` comes back to its lease at once: no two processes may share it. Raises
        SettingsRefused for shards where the store has one writer."""
        if shards > 1 and not store.has_many_writers:
            message = "the outbox of a SQLite file has one shard"
            raise SettingsRefused(message, field="INYEON_OUTBOX_SHARDS")
        self._store = store
        self._log = log
        self._clock = clock
        self._shard = shard
        self._shards = shards
        self._metrics = metrics or RelayMetrics(CollectorRegistry())
        self._lease = Lease(owner, shard, shards, clock)
        self._grew = store.outbox_events()
        self._more = False
        self._runs = False
        self._began_s = 0.0
        self._pause_s = IDLE_S
        self._measured_s = -MEASURE_S
        self._looked_s = clock.monotonic()

    @property
    def is_well(self) -> bool:
        """It has looked lately, as holder or as stand-by."""
        return self._clock.monotonic() - self._looked_s < WELL_S

    async def run(self) -> None:
        """Publishes until cancelled, then gives the lease back. Outages of log and store are waited
        out."""
        backoff_s = FIRST_BACKOFF_S
        self._runs = True
        self._store.listen()
        try:
            while True:
                try:
                    await self._round()
                    backoff_s = FIRST_BACKOFF_S
                except (Unavailable, LogError) as error:
                    self._metrics.failures.labels(self._store.name).inc()
                    _logger.warning("outbox of %s waits: %s", self._store.name, error)
                    await self._clock.sleep(backoff_s)
                    backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
        finally:
            self._runs = self._store.relayed_here = False
            await self._give_back()

    async def drain(self) -> int:
        """Publishes what is waiting now and returns how many. Raises LogUnavailable,
        StoreUnavailable; 0 also where another relay holds the lease."""
        count = 0
        rows = await self._look()
        while rows:
            self._began_s = asyncio.get_running_loop().time()
            await self._publish([_record(row) for row in rows])
            self._metrics.published.labels(self._store.name).inc(len(rows))
            count += len(rows)
            rows = await self._go_on(rows)
        return count

    async def _round(self) -> None:
        self._grew.clear()
        self._pause_s = IDLE_S
        if not await self.drain():
            self._began_s = asyncio.get_running_loop().time()
        await wait_for_event(self._grew, self._clock, self._pause_s)
        await self._pace()

    async def _pace(self) -> None:
        gap_s = GAP_S if self._store.has_many_writers else FILE_GAP_S
        left_s = self._began_s + gap_s - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, left_s))

    async def _until_rung(self, published: int) -> None:
        """So that forgetting and looking are one statement also where commits come one by one."""
        if self._runs and published < BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(FORGET_S):
                    await self._grew.wait()
            await self._pace()

    async def _look(self) -> Sequence[Row[Any]]:
        """What to publish next; nothing where another relay holds the lease."""
        rows: Sequence[Row[Any]] = ()
        if await self._hold_lease():
            async with self._store.reading(once=self._shards == 1) as connection:
                found = (await connection.execute(self._oldest())).all()
                rows = await self._before_barrier(connection, found)
            self._more = len(found) == BATCH or len(rows) < len(found)
            await self._measure(rows)
        self._looked_s = self._clock.monotonic()
        return rows

    async def _go_on(self, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        """Forgets what was published and returns what to publish next."""
        if self._store.has_many_writers and self._shards == 1:
            try:
                await self._until_rung(len(rows))
            except asyncio.CancelledError:
                with suppress(Unavailable):
                    await self._forget_and_look(rows)
                raise
            return await self._forget_and_look(rows)
        await self._delete(rows)
        return await self._look() if self._more else ()

    async def _publish(self, records: Sequence[NewRecord]) -> None:
        """The lease is renewed for as long as the log takes; without it the publish is given up."""
        publishing = asyncio.create_task(self._as_coroutine(records))
        try:
            while not (await asyncio.wait({publishing}, timeout=RENEW_S))[0]:
                if not await self._still_holds():
                    message = f"{len(records)} events were not taken while the lease lasted"
                    raise LogUnavailable(message)
            await publishing
        finally:
            publishing.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({publishing})

    async def _as_coroutine(self, records: Sequence[NewRecord]) -> None:
        await self._log.publish(records)

    async def _still_holds(self) -> bool:
        try:
            async with asyncio.timeout(max(0.0, self._lease.left_s - SPARE_S)):
                async with self._store.transaction() as tx:
                    return await self._lease.renew(tx.connection)
        except (TimeoutError, Unavailable):
            return self._lease.left_s > SPARE_S + RENEW_S  # there is time for another attempt

    async def _before_barrier(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]]
    ) -> Sequence[Row[Any]]:
        """Leaves out a barrier, and what is behind it, that other shards have not reached."""
        places = [n for n, row in enumerate(rows) if row.key.startswith(BARRIER)]
        if self._shards == 1 or not places:
            return rows
        first = await connection.scalar(select(func.min(outbox.c.id)).where(~self._mine()))
        barred = (n for n in places if first is not None and rows[n].id > first)
        end = next(barred, len(rows))
        if end == 0:
            self._pause_s = OTHERS_S
        return rows[:end]

    async def _measure(self, rows: Sequence[Row[Any]]) -> None:
        now_s = self._clock.monotonic()
        full = len(rows) == BATCH
        if full and now_s - self._measured_s < MEASURE_S:
            return
        self._measured_s = now_s
        depth = await self._depth() if full else len(rows)
        oldest_us = rows[0].emitted_us if rows else microseconds(self._clock.now())
        age_s = (microseconds(self._clock.now()) - oldest_us) / 1e6
        self._metrics.depth.labels(self._store.name).set(depth)
        self._metrics.age_s.labels(self._store.name).set(max(0.0, age_s))

    async def _depth(self) -> int:
        async with self._store.reading(once=True) as connection:
            counted = await connection.execute(select(func.count()).select_from(outbox))
            return int(counted.scalar_one())

    async def _delete(self, rows: Sequence[Row[Any]]) -> None:
        """Forgets what was published, unless another relay has the lease by now: it will publish
        and forget it."""
        async with self._store.transaction() as tx:
            if await self._lease.renew(tx.connection):
                published = one_of(outbox.c.id, "ids", of_server=self._store.has_many_writers)
                ids = [row.id for row in rows]
                await tx.connection.execute(delete(outbox).where(published), {"ids": ids})
        self._note_lease()

    async def _forget_and_look(self, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        """`_delete` and `_look` as one statement, for the only relay of a database."""
        self._grew.clear()
        asked_s = self._clock.monotonic()
        values = self._lease.values | {"ids": [row.id for row in rows]}
        answer = await self._store.alone(_forgetting(), values)
        held = self._lease.answered(asked_s, answer)
        self._note_lease()
        found = [row for row in answer if row.id is not None]
        if held:
            await self._measure(found)
        self._looked_s = asked_s
        return found

    async def _hold_lease(self) -> bool:
        """True while this relay is the one. Asks the database when a third of the lease is over."""
        if self._lease.is_fresh:
            return True
        async with self._store.transaction() as tx:
            held = await self._lease.take(tx.connection)
        self._note_lease()
        return held

    def _note_lease(self) -> None:
        self._store.relayed_here = self._shards == 1 and self._lease.epoch > 0

    async def _give_back(self) -> None:
        """Not being able to costs the next relay only a wait."""
        try:
            async with self._store.transaction() as tx:
                await self._lease.give_back(tx.connection)
        except Unavailable as error:
            _logger.info("the lease of %s ends by itself: %s", self._store.name, error)

    def _oldest(self) -> Select[Any]:
        found = select(outbox).order_by(outbox.c.id).limit(BATCH)
        return found if self._shards == 1 else found.where(self._mine())

    def _mine(self) -> ColumnElement[bool]:
        number = cast(func.hashtext(outbox.c.key), BigInteger) + 2**31  # from 0
        return func.mod(number, self._shards) == self._shard


def _record(row: Row[Any]) -> NewRecord:
    return NewRecord(row.topic, row.key, row.value, json.loads(row.headers), row.partition_key)


@cache
def _forgetting() -> Select[Any]:
    """Renews the lease, and where it still holds deletes `ids` and reads the oldest of the others,
    all of one snapshot (PostgreSQL). No row: the lease is lost; one without an id: nothing is
    left."""
    held = renewal().cte("held")
    published = one_of(outbox.c.id, "ids", of_server=True)
    gone = delete(outbox).where(published, exists(select(held))).returning(outbox.c.id).cte("gone")
    others = outbox.c.id.not_in(select(gone.c.id))
    oldest = select(outbox).where(others).order_by(outbox.c.id).limit(BATCH).subquery("oldest")
    return select(oldest).select_from(held.outerjoin(oldest, true())).order_by(oldest.c.id)
