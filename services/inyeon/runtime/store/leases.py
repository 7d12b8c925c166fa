"""Which relay publishes: one row for each shard of an outbox, fenced by an epoch.

The database's clock decides when a lease is over, so replicas whose clocks are minutes apart agree.
(A SQLite file has no server: its processes share the machine's clock.) A holder counts its own
seconds from before it asked and therefore always stops before the database lets another one in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement

from inyeon.runtime.clock import Clock
from inyeon.runtime.store.dialects import is_postgresql, lock, microseconds, upsert
from inyeon.runtime.store.tables import outbox_leases

# Matching must go on within 10 s of its owner's death, and events with it: 5 s for the lease, at
# most 1 s until the next relay looks, the rest for the backlog.
LEASE_S = 5.0
RENEW_S = LEASE_S / 3  # two renewals may fail before the lease is lost

_table = outbox_leases.c


def shard_name(number: int, count: int) -> str:
    """Name of a shard's lease: `all`, or `2/4` for the third of four."""
    return "all" if count == 1 else f"{number}/{count}"


class Lease:
    """One relay's view of its lease. The epoch is 0 while it has none."""

    def __init__(self, owner: str, number: int, count: int, clock: Clock) -> None:
        self.epoch = 0
        self._owner = owner
        self._shard = shard_name(number, count)
        self._all = [shard_name(place, count) for place in range(count)]
        self._clock = clock
        self._since_s = 0.0

    @property
    def left_s(self) -> float:
        """How long this relay may surely publish; negative where it may not."""
        return self._since_s + LEASE_S - self._clock.monotonic() if self.epoch else -1.0

    @property
    def is_fresh(self) -> bool:
        """It need not be renewed yet."""
        return self.left_s > LEASE_S - RENEW_S

    def forget(self) -> None:
        """Somebody else has it."""
        self.epoch = 0

    async def take(self, connection: AsyncConnection) -> bool:
        """Renews or takes it; False where another owner's has not ended."""
        started_s = self._clock.monotonic()
        if await self._is_split_otherwise(connection):
            self.epoch = 0
            return False
        taken = await connection.execute(self._taking(connection))
        self.epoch = int(taken.scalar_one_or_none() or 0)
        self._since_s = started_s
        return self.epoch > 0

    async def renew(self, connection: AsyncConnection) -> bool:
        """Renews it unless another relay has taken it; the row stays locked, so until the end of
        the transaction nobody can. False: lost."""
        of_server = is_postgresql(connection)
        values = self.values | (
            {} if of_server else {"lease_now_us": microseconds(self._clock.now())}
        )
        asked_s = self._clock.monotonic()
        return self.answered(asked_s, (await connection.execute(renewal(of_server), values)).all())

    @property
    def values(self) -> dict[str, Any]:
        """Parameters of `renewal` by the clock of the server."""
        return {"lease_shard": self._shard, "lease_epoch": self.epoch}

    def answered(self, asked_s: float, rows: Sequence[object]) -> bool:
        """Takes the rows of a `renewal` that was begun at `asked_s` of the clock's monotonic time.
        False: lost."""
        if not rows:
            self.epoch = 0
            return False
        self._since_s = asked_s
        return True

    async def give_back(self, connection: AsyncConnection) -> None:
        """Ends it, so that the next relay need not wait."""
        mine = (_table.shard == self._shard, _table.epoch == self.epoch)
        await connection.execute(update(outbox_leases).where(*mine).values(expires_us=0))
        self.epoch = 0

    def _taking(self, connection: AsyncConnection) -> Any:
        """One statement, so that two who take at once get one after the other."""
        now_us = _now_us(connection, self._clock)
        first = {"shard": self._shard, "owner": self._owner, "epoch": 1}
        inserted = upsert(connection, outbox_leases).values(
            first | {"expires_us": now_us + int(LEASE_S * 1e6)}
        )
        mine = _table.epoch == self.epoch
        return inserted.on_conflict_do_update(
            index_elements=[_table.shard],
            set_={
                "owner": inserted.excluded.owner,
                "epoch": case((mine, _table.epoch), else_=_table.epoch + 1),
                "expires_us": inserted.excluded.expires_us,
            },
            where=or_(mine, _table.owner == self._owner, _table.expires_us <= now_us),
        ).returning(_table.epoch)

    async def _is_split_otherwise(self, connection: AsyncConnection) -> bool:
        """Another relay works with another number of shards: its rows are ours too."""
        await lock(connection, "inyeon-outbox-shards", shared=self._shard == "all")
        foreign = select(_table.shard).where(
            _table.shard.not_in(self._all),
            _table.expires_us > _now_us(connection, self._clock),
        )
        return (await connection.execute(foreign.limit(1))).first() is not None


@cache
def renewal(of_server: bool = True) -> ReturningUpdate[tuple[int]]:
    """Renews a lease unless another relay has taken it, and returns one row or none; the lease's
    row stays locked until the end of the transaction. `of_server`: by the clock of PostgreSQL. Made
    once: making it takes as long as running it."""
    mine = (_table.shard == bindparam("lease_shard"), _table.epoch == bindparam("lease_epoch"))
    now_us = _server_us() if of_server else bindparam("lease_now_us", type_=BigInteger)
    renewing = update(outbox_leases).where(*mine).values(expires_us=now_us + int(LEASE_S * 1e6))
    return renewing.returning(_table.epoch)


def _now_us(connection: AsyncConnection, clock: Clock) -> ColumnElement[int]:
    if is_postgresql(connection):
        return _server_us()
    return literal(microseconds(clock.now()), BigInteger)


def _server_us() -> ColumnElement[int]:
    return cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
