"""Seats of replicas over the store: the same leases as those of pools."""

from __future__ import annotations

from sqlalchemy import select

from inyeon.matching.adapters import ownership
from inyeon.matching.adapters.tables import seats
from inyeon.runtime.clock import Clock
from inyeon.runtime.store.port import Store


class SqlSeats:
    """`Seats` on matching's store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def hold(self, seat: int, replica: str, epoch: int) -> int | None:
        async with self._store.transaction() as tx:
            return await ownership.hold(
                tx.connection, self._clock, _name(seat), replica, epoch, table=seats
            )

    async def give_up(self, seat: int, epoch: int) -> None:
        async with self._store.transaction() as tx:
            await ownership.give_up(tx.connection, self._clock, _name(seat), epoch, table=seats)

    async def live(self) -> tuple[str, ...]:
        async with self._store.reading() as connection:
            now = ownership.now_us(connection, self._clock)
            held = select(seats.c.replica).where(seats.c.expires_us > now)
            return tuple(sorted(set(await connection.scalars(held))))


def _name(seat: int) -> str:
    return f"seat-{seat}"
