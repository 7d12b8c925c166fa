"""A seat for each replica, with a lease like a pool's.

What moderation decides is read once by each replica, in a consumer group that is named after its
seat. Who takes the seat of one that is gone goes on where that one was: everything before is in the
book. Without seats a replica with a new name would read all verdicts there ever were.

The seats that are held also tell which replicas live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from inyeon.matching.app.floor import Floor
from inyeon.matching.errors import SeatLost
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable

EVERY_S = 1.0
"""A lease lives 4 s."""
SEATS = 64
"""More replicas than this wait for one to go."""
STARTED = 0
LOST = -1

SeatWork = Callable[[int], Awaitable[None]]

_log = structlog.get_logger(__name__)


class Seats(Protocol):
    """Seats in the store. Every method may raise StoreUnavailable."""

    async def hold(self, seat: int, replica: str, epoch: int) -> int | None:
        """As `Book.hold` of a pool."""
        ...

    async def give_up(self, seat: int, epoch: int) -> None:
        """As `Book.give_up` of a pool."""
        ...

    async def live(self) -> tuple[str, ...]:
        """Names of the replicas whose seat's lease runs, sorted."""
        ...


async def take_seat(seats: Seats, floor: Floor, clock: Clock, work: Sequence[SeatWork]) -> None:
    """Takes a seat and runs `work` with its number, for as long as this task lives; whoever loses
    the seat ends all work and looks for another one. Gives the seat up when cancelled."""
    held = STARTED
    while True:
        seat, epoch = await _sit(seats, floor, clock, held)
        try:
            await _seated(seats, floor, clock, (seat, epoch), work)
        except* SeatLost as lost:
            _log.warning("seat.lost", seat=seat, error=str(lost.exceptions[0]))
            held = LOST
        finally:
            floor.seated = False


async def _sit(seats: Seats, floor: Floor, clock: Clock, held: int) -> tuple[int, int]:
    while True:
        try:
            for seat in range(SEATS):
                epoch = await seats.hold(seat, floor.replica, held)
                if epoch is not None:
                    floor.see(await seats.live(), clock.monotonic())
                    _log.info("seat.taken", seat=seat, epoch=epoch)
                    return seat, epoch
        except Unavailable as error:
            _log.warning("seat.store_away", error=str(error))
        await clock.sleep(EVERY_S)


async def _seated(
    seats: Seats, floor: Floor, clock: Clock, held: tuple[int, int], work: Sequence[SeatWork]
) -> None:
    floor.seated = True
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep(seats, floor, clock, held))
            for one in work:
                group.create_task(_run(one, held[0]))
    finally:
        try:
            await seats.give_up(*held)
        except Unavailable as error:
            _log.info("seat.lease_ends_by_itself", error=str(error))


async def _run(work: SeatWork, seat: int) -> None:
    await work(seat)


async def _keep(seats: Seats, floor: Floor, clock: Clock, held: tuple[int, int]) -> None:
    """Renews the lease and looks who else is there. Raises SeatLost."""
    seat, epoch = held
    while True:
        await clock.sleep(EVERY_S)
        try:
            if await seats.hold(seat, floor.replica, epoch) != epoch:
                raise SeatLost(f"seat {seat}: another replica sits there")
            floor.see(await seats.live(), clock.monotonic())
        except Unavailable as error:
            _log.warning("seat.store_away", error=str(error))
