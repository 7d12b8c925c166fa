"""The hall: everything that this replica keeps in memory about people who wait or meet.

All of it can be rebuilt from the book (live matches) and the log (tickets of the last 90 s). Times
are seconds of the monotonic clock. One event loop owns it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakValueDictionary

from inyeon.matching.domain.costs import FilterCost
from inyeon.matching.domain.freshness import Freshness
from inyeon.matching.domain.meetings import Meetings
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.news import Paused, Queued, WideningOffer
from inyeon.matching.domain.people import Attention
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.tickets import Ticket

VERDICT_PARTITIONS = 12
"""Of `moderation.verdicts`; a test compares it with the table of topics."""


@dataclass(frozen=True, slots=True)
class Sign:
    """The newest sign of life of a device."""

    heard_at: float
    present: bool | Attention
    pass_until: float = -math.inf


@dataclass(slots=True)
class Hall:
    """Who is here."""

    pool: Pool = field(default_factory=Pool)
    meetings: Meetings = field(default_factory=Meetings)
    on_the_way: dict[str, Ticket] = field(default_factory=dict)
    """By user: tickets that are being written to the log and were not read back yet."""
    offered: dict[str, Ticket] = field(default_factory=dict)
    """By user: the ticket behind a match that not both have accepted yet."""
    signs: dict[str, Sign] = field(default_factory=dict)
    """By user."""
    told: dict[str, tuple[float, Queued | Paused]] = field(default_factory=dict)
    """By user: when and what they were last told about waiting."""
    untold: set[str] = field(default_factory=set)
    """Users who came since the last wave: what it says of them is the first that they hear."""
    told_at: float = -math.inf
    """When everybody was looked at for news."""
    fitting: dict[str, int] = field(default_factory=dict)
    """By user: how many people fitted in the last wave."""
    costs: dict[str, tuple[float, tuple[FilterCost, ...]]] = field(default_factory=dict)
    """By user: when it was worked out what their filters cost them, and what."""
    offers: dict[str, WideningOffer] = field(default_factory=dict)
    """By user: the newest offer to widen the wish."""
    asking: set[str] = field(default_factory=set)
    """Users who want to know it."""
    costed_at: float = -math.inf
    away: set[str] = field(default_factory=set)
    """Users of this pool who were moved to another one: where they are now, the book knows."""
    freshness: Freshness = field(default_factory=lambda: Freshness(VERDICT_PARTITIONS))
    """Of the verdicts that were read."""
    epoch: int = 0
    """Of the pool; 0 while this replica does not own it."""
    elsewhere: bool = False
    """Another replica owns the pool, as far as this one knows."""
    mode: PoolMode = PoolMode.OPEN
    """In force at the last wave."""
    mode_at: float = -math.inf
    """When the book was asked for it."""
    waves: int = 0
    last_pass_at: datetime | None = None
    service_away: bool = False
    """The store or the log was away at the last wave."""
    rebuilt: asyncio.Event = field(default_factory=asyncio.Event)
    """The pool knows every ticket of the last 90 s."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Guards that what the book says and what is here change together: a verdict that comes while
    a wave is being committed must find the match that the wave made."""
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def reset(self) -> None:
        """Forgets everything of the epoch before: this replica owns nothing until it is rebuilt."""
        self.pool, self.meetings = Pool(), Meetings()
        self.freshness = Freshness(VERDICT_PARTITIONS)
        for known in (
            self.on_the_way,
            self.offered,
            self.signs,
            self.told,
            self.fitting,
            self.costs,
            self.offers,
        ):
            known.clear()
        self.epoch, self.waves, self.last_pass_at, self.service_away = 0, 0, None, False
        self.asking.clear()
        self.untold.clear()
        self.away.clear()
        self.costed_at = self.mode_at = self.told_at = -math.inf
        self.rebuilt.clear()

    def lock(self, user_id: str) -> asyncio.Lock:
        """Guards the verbs of one user against each other: a double tap makes one ticket."""
        return self._locks.setdefault(user_id, asyncio.Lock())

    def ticket_of(self, user_id: str) -> Ticket | None:
        """The user's ticket, waiting or on its way."""
        return self.pool.of_user(user_id) or self.on_the_way.get(user_id)

    def forget_signs(self, before: float) -> None:
        """Signs of life older than that are of people who have gone."""
        self.signs = {user: sign for user, sign in self.signs.items() if sign.heard_at >= before}

    def arrive(self, ticket: Ticket) -> None:
        """A ticket is on its way no more."""
        on_the_way = self.on_the_way.get(ticket.user_id)
        if on_the_way is not None and on_the_way.ticket_id == ticket.ticket_id:
            del self.on_the_way[ticket.user_id]

    def drop(self, ticket: Ticket) -> None:
        """A ticket is over."""
        self.arrive(ticket)
        offer = self.offers.get(ticket.user_id)
        if offer is not None and offer.ticket_id == ticket.ticket_id:
            del self.offers[ticket.user_id]
        if self.pool.remove(ticket.ticket_id, ticket.user_id):
            self.told.pop(ticket.user_id, None)
            self.fitting.pop(ticket.user_id, None)
            self.costs.pop(ticket.user_id, None)
            self.asking.discard(ticket.user_id)
