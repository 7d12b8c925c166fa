"""The relay: takes committed events out of a store's outbox into the log, in commit order, at least
once.

Publish, then delete: a crash between the two publishes the batch again with the same `event_id` and
`version`, which consumers ignore. One relay at a time holds the lease row; taking it raises an
epoch, and a relay with an older epoch stops publishing as soon as it looks and deletes nothing.

On SQLite ids rise in commit order because there is one writer. (On PostgreSQL a lower id may commit
later; the adapter of that engine has to close this gap.)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Row, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogError, Unavailable
from inyeon.runtime.log.port import Log, NewRecord
from inyeon.runtime.log.waiting import wait_for_event
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox, outbox_leases

BATCH = 500  # of 1 kB each: one write of half a megabyte, ten of them a second at 5,000 events/s
LEASE_S = 10.0  # matching must resume within 10 s of its owner's death, and events with it
RENEW_S = LEASE_S / 3  # two renewals may fail before the lease is lost
IDLE_S = 1.0  # looks by itself: events of other processes, and a commit whose wake-up was lost
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0  # after an outage of minutes the outbox drains at most 5 s late

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
    """The relay of one store. `run` it as a task; it ends only by cancellation."""

    def __init__(
        self,
        store: SqlStore,
        log: Log,
        clock: Clock,
        *,
        owner: str,
        metrics: RelayMetrics | None = None,
        shard: str = "all",
    ) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._owner = owner
        self._shard = shard
        self._metrics = metrics or RelayMetrics(CollectorRegistry())
        self._epoch = 0
        self._renewed_s = 0.0

    async def run(self) -> None:
        """Publishes until cancelled, then gives the lease back. Outages of log and store are waited
        out."""
        backoff_s = FIRST_BACKOFF_S
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
            await self._give_back()

    async def drain(self) -> int:
        """Publishes what is waiting now and returns how many. Raises LogUnavailable,
        StoreUnavailable; 0 also where another relay holds the lease."""
        count = 0
        while await self._hold_lease():
            published = await self._publish_batch()
            if not published:
                break
            count += published
        return count

    async def _round(self) -> None:
        self._store.outbox_grew.clear()
        await self.drain()
        await wait_for_event(self._store.outbox_grew, self._clock, IDLE_S)

    async def _publish_batch(self) -> int:
        async with self._store.reading() as connection:
            rows = (await connection.execute(_oldest())).all()
            await self._measure(connection, rows)
        if not rows:
            return 0
        await self._log.publish([_record(row) for row in rows])
        await self._delete_through(rows)
        self._metrics.published.labels(self._store.name).inc(len(rows))
        return len(rows)

    async def _measure(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
        depth = len(rows)
        if depth == BATCH:
            counted = await connection.execute(select(func.count()).select_from(outbox))
            depth = counted.scalar_one()
        oldest_us = rows[0].emitted_us if rows else microseconds(self._clock.now())
        age_s = (microseconds(self._clock.now()) - oldest_us) / 1e6
        self._metrics.depth.labels(self._store.name).set(depth)
        self._metrics.age_s.labels(self._store.name).set(max(0.0, age_s))

    async def _delete_through(self, rows: Sequence[Row[Any]]) -> None:
        """Forgets what was published, unless another relay has the lease by now: it will publish
        and forget it."""
        mine = select(outbox_leases.c.epoch).where(
            outbox_leases.c.shard == self._shard, outbox_leases.c.epoch == self._epoch
        )
        published = outbox.c.id.in_([row.id for row in rows])
        async with self._store.transaction() as tx:
            result = await tx.connection.execute(delete(outbox).where(published, mine.exists()))
        if result.rowcount == 0:
            self._epoch = 0  # asks for the lease again before anything else

    async def _hold_lease(self) -> bool:
        """True while this relay is the one. Asks the database when a third of the lease is over."""
        if self._epoch and self._clock.monotonic() - self._renewed_s < RENEW_S:
            return True
        started_s = self._clock.monotonic()
        async with self._store.transaction() as tx:
            self._epoch = await self._take(tx.connection)
        self._renewed_s = started_s
        return self._epoch > 0

    async def _take(self, connection: AsyncConnection) -> int:
        """Renews or takes the lease; 0 when another owner's has not ended."""
        where = outbox_leases.c.shard == self._shard
        row = (await connection.execute(select(outbox_leases).where(where))).one_or_none()
        now_us = microseconds(self._clock.now())
        if row is not None and row.owner != self._owner and row.expires_us > now_us:
            return 0
        renewing = row is not None and row.epoch == self._epoch
        epoch = self._epoch if renewing else (row.epoch if row is not None else 0) + 1
        values = {"owner": self._owner, "epoch": epoch, "expires_us": now_us + int(LEASE_S * 1e6)}
        statement = upsert(connection, outbox_leases).values(shard=self._shard, **values)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["shard"], set_=values)
        )
        return int(epoch)

    async def _give_back(self) -> None:
        """Ends the lease, so that the next relay need not wait for its end. Not being able to costs
        only that wait."""
        where = (outbox_leases.c.shard == self._shard, outbox_leases.c.epoch == self._epoch)
        try:
            async with self._store.transaction() as tx:
                await tx.connection.execute(
                    update(outbox_leases).where(*where).values(expires_us=0)
                )
        except Unavailable as error:
            _logger.info("the lease of %s ends by itself: %s", self._store.name, error)


def _oldest() -> Select[Any]:
    return select(outbox).order_by(outbox.c.id).limit(BATCH)


def _record(row: Row[Any]) -> NewRecord:
    return NewRecord(row.topic, row.key, row.value, json.loads(row.headers), row.partition_key)
