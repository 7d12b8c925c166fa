"""The floor: every desk of this replica, and what concerns them all.

A verdict or a block is read once by a replica and reaches the desk where the person is, if any; the
book takes it in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from inyeon.matching.app.apply import apply_edge, apply_erasure, apply_mark, apply_verdict
from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.spreading import fair_share, patience_s, to_hand_over

SETTLED_S = 10.0
"""Replicas that come and go: a pool moves only once the same ones have been there for so long. It
is more than twice a lease, so a restart under the same name moves nothing."""


@dataclass(slots=True)
class Floor:
    """The desks by pool. One event loop owns it."""

    desks: Mapping[str, Desk]
    replica: str
    seated: bool = False
    """This replica reads what others decide."""
    live: tuple[str, ...] = ()
    """Names of the replicas that have a seat, this one included."""
    turning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Guards that a pool is taken over and that what others decide is applied one after the other:
    else a verdict might find neither the match in the hall nor the new owner find the verdict."""
    _settled_at: float = 0.0
    _given: set[str] = field(default_factory=set)

    def owned(self) -> list[str]:
        """Pools that this replica owns, rebuilt or not."""
        return [pool for pool, desk in self.desks.items() if desk.hall.epoch]

    def ready(self, reaches_others: bool) -> bool:
        """Every pool is rebuilt here, or owned by a replica to which verbs are forwarded. Without a
        way to the others one that stands by is not ready: it has nobody to serve."""
        return self.seated and all(
            desk.hall.rebuilt.is_set() or (reaches_others and desk.hall.elsewhere)
            for desk in self.desks.values()
        )

    def see(self, live: tuple[str, ...], now: float) -> None:
        """Who is there now."""
        if live != self.live:
            self.live, self._settled_at = live, now + SETTLED_S
            self._given.clear()

    def patience_s(self) -> float:
        """How long a pool must have been free before this replica takes it."""
        return patience_s(len(self.owned()), self._share())

    def hands_over(self, pool: str, now: float) -> bool:
        """This replica has too many pools, and this is the one to go. Once for the same company:
        where nobody took it, it stays."""
        if (
            now < self._settled_at
            or to_hand_over(self.owned(), self._share(), self.replica) != pool
        ):
            return False
        if pool in self._given:
            return False
        self._given.add(pool)
        return True

    def _share(self) -> int:
        return fair_share(len(self.desks), len(self.live))

    def where(self, *users: str) -> list[Desk]:
        """Desks at which one of these people waits or meets."""
        return [
            desk
            for desk in self.desks.values()
            if any(desk.hall.ticket_of(user) or desk.hall.meetings.of_user(user) for user in users)
        ]


async def forget_person(floor: Floor, user_id: str) -> None:
    """Somebody is erased: what conversations said of them goes. Raises StoreUnavailable."""
    sessions = next(iter(floor.desks.values())).sessions  # one for all pools
    if sessions is not None:
        await sessions.forget(user_id)


async def take_verdict(floor: Floor, user_id: str, verdict: Verdict, version: int) -> None:
    """A verdict, for the book and for whoever has the person."""
    await _to_each(floor, (user_id,), lambda desk: apply_verdict(desk, user_id, verdict, version))


async def take_edge(floor: Floor, user_id: str, other_id: str, kind: str, version: int) -> None:
    """A block or a report, for the book and for whoever has one of the two, or an account seen
    on a device of theirs."""
    book = next(iter(floor.desks.values())).book
    accounts = await book.beside((user_id, other_id))
    await _to_each(
        floor,
        tuple(sorted(accounts)),
        lambda desk: apply_edge(desk, user_id, other_id, kind, version),
    )


async def take_erasure(floor: Floor, user_id: str) -> None:
    """A person is erased, wherever they are. Raises StoreUnavailable."""
    await forget_person(floor, user_id)
    await _to_each(floor, (user_id,), lambda desk: apply_erasure(desk, user_id))


async def take_mark(floor: Floor, partition: int, committed_at: datetime) -> None:
    """Verdicts of the partition have been read up to there, for every pool. Raises ValueError."""
    async with floor.turning:
        for desk in floor.desks.values():
            await apply_mark(desk, partition, committed_at)


async def _to_each(
    floor: Floor, users: tuple[str, ...], apply: Callable[[Desk], Awaitable[None]]
) -> None:
    """To the desks that know the people, looked up again after each: somebody may have come to one
    while the book was being written. To any desk where none does: the book must know."""
    done: list[str] = []
    async with floor.turning:
        while True:
            left = [desk for desk in floor.where(*users) if desk.pool not in done]
            if not left and done:
                return
            desk = left[0] if left else next(iter(floor.desks.values()))
            await apply(desk)
            done.append(desk.pool)
