"""Seams of matching's use cases: the book of matches, the ticket log, devices, statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from inyeon.matching.app.recording import Described
from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.news import News, SignedGrant
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.tickets import Ticket, TicketEnd


@dataclass(frozen=True, slots=True)
class Facts:
    """What the book knows of somebody who comes to wait."""

    verdict: Verdict = Verdict.NONE
    sanctioned_until: datetime | None = None
    in_match: bool = False
    bars: Mapping[str, datetime | None] | None = None
    """Whom they must not meet until when; None as a time: for ever."""
    cools_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """One pair of a wave, to be committed."""

    match: LiveMatch
    tickets: tuple[str, str]
    """Of the match's first and second person."""
    places: tuple[int, int]
    """Their positions in the wave."""
    score: float


@dataclass(frozen=True, slots=True)
class WaveOrder:
    """A wave to be committed: all of it in one transaction."""

    pool: str
    epoch: int
    wave: int
    decided_at: datetime
    tickets: tuple[str, ...]
    """Everybody who took part, in the pool's order."""
    proposals: tuple[Proposal, ...]
    score_version: str
    described: Described | None = None
    """What the wave went by; None: it is not recorded."""
    course: Course | None = None
    """Which version of the score it went by, and why; None: nobody says."""
    exact: bool = False
    """The wave explored, and the chances of its pairs are exact."""


class Book(Protocol):
    """Matching's own store. Every method is one transaction and may raise StoreUnavailable.

    What is about state (`record_...`) keeps the highest version and answers whether the version
    given is the one in force now, so that a repeated record has its effect again.
    """

    async def hold(
        self, pool: str, replica: str, epoch: int, patience_s: float = 0.0
    ) -> int | None:
        """Renews the lease of `epoch` or takes a pool that has been free for `patience_s`, with the
        next epoch, from 1.

        `epoch` 0: a process that has just started takes what its own name holds. None: another
        replica owns the pool.
        """
        ...

    async def give_up(self, pool: str, epoch: int) -> None:
        """Ends the lease of `epoch` now; nothing where it is not the newest."""
        ...

    async def marks_expected(self) -> bool:
        """Marks of moderation's outbox have been read before."""
        ...

    async def record_mark(self, partition: int, committed_at: datetime) -> None:
        """A mark of moderation's outbox was read."""
        ...

    async def see_devices(self, tickets: Sequence[Ticket], at: datetime) -> None:
        """The owners of these tickets were seen on their devices."""
        ...

    async def beside(self, users: Sequence[str]) -> frozenset[str]:
        """These users and every other account that was seen on a device of theirs."""
        ...

    async def facts(self, users: Sequence[str], at: datetime) -> dict[str, Facts]:
        """Facts about each of these users."""
        ...

    async def look(
        self, users: Sequence[str], tickets: Sequence[str], at: datetime
    ) -> tuple[dict[str, Facts], frozenset[str]]:
        """Facts about each of these users, and which of these tickets are over; of one moment."""
        ...

    async def credit(self, user_id: str, at: datetime) -> float:
        """Waiting time in seconds that this user got back and has not used; 0 for none."""
        ...

    async def commit_wave(self, order: WaveOrder) -> frozenset[str]:
        """Commits the proposals that still hold and returns their match ids.

        Left out: a person in a live match, a ticket that is over, a verdict that is not CLEAR, a
        sanction, a bar. Raises PoolLost when the epoch is not the newest, and PoolPaused: then
        nothing is written.
        """
        ...

    async def modes(self, pools: Sequence[str]) -> dict[str, PoolMode]:
        """What operators said: in force for each of these pools, and for ALL_POOLS."""
        ...

    async def record_mode(self, pool: str, mode: PoolMode, said_by: str, at: datetime) -> None:
        """An operator says so of a pool, or of ALL_POOLS; the newest word counts."""
        ...

    async def end_ticket(self, ticket: Ticket, end: TicketEnd, at: datetime) -> bool:
        """Ends a ticket; False when it is over already: the first end wins."""
        ...

    async def move_ticket(
        self, ticket: Ticket, moved: Ticket, home: str, replica: str, at: datetime
    ) -> bool:
        """Ends `ticket` as MOVED, or in the same pool as WIDENED, and lets `moved` wait in its own
        pool, both or neither; False where the ticket is over already. `home`: the pool of
        the person's country."""
        ...

    async def place_of(self, user_id: str) -> str | None:
        """The pool where somebody who was moved waits or meets now; None for anybody who does
        neither, or was never moved."""
        ...

    async def moved_from(self, home: str) -> frozenset[str]:
        """People of that pool who were moved in the last day."""
        ...

    async def end_match(
        self,
        match: LiveMatch,
        reason: EndReason,
        ended_by: str,
        at: datetime,
        to_blame: frozenset[str],
    ) -> bool:
        """Ends a match, with credit, faults and, where it was live, outcomes; False when it is
        over already."""
        ...

    async def accept(self, match: LiveMatch, user_id: str, at: datetime) -> LiveMatch | None:
        """Keeps that person's yes and returns the match as it is now; None when it is over or the
        time to answer has passed. With both it is live, and said to be."""
        ...

    async def live_matches(self, pool: str) -> list[LiveMatch]:
        """Live matches that came from the pool."""
        ...

    async def record_verdict(self, user_id: str, verdict: Verdict, version: int) -> bool:
        """A verdict of moderation."""
        ...

    async def record_edge(self, user_id: str, other_id: str, kind: str, version: int) -> bool:
        """A block or a report; it bars both ways for ever."""
        ...

    async def record_sanction(self, user_id: str, until: datetime | None, version: int) -> bool:
        """A sanction until then; None: it was lifted."""
        ...

    async def erase(self, user_id: str) -> None:
        """A person is erased: their devices, faults, credits and moves go; blocks stay as edges of
        two random ids."""
        ...

    async def forget(self, at: datetime) -> int:
        """Drops what no longer matters (old ends, past horizons); returns how many rows."""
        ...


class Rooms(Protocol):
    """Pools of this replica and of others."""

    async def room(self, pool: str) -> int:
        """How many more tickets it takes within a second; 0 where it is full, drains, is paused,
        or has no owner that answers."""
        ...


class TicketLog(Protocol):
    """Where waiting tickets are kept: the log."""

    async def publish(self, tickets: Sequence[Ticket]) -> None:
        """Durable when it returns. Raises LogUnavailable."""
        ...


class Teller(Protocol):
    """Devices, wherever their streams are."""

    async def tell(self, user_id: str, news: News) -> bool:
        """Hands news to the user's stream within a second; False when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SignedPass:
    """A safety pass as it came."""

    key_id: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PassFacts:
    """What a rightly signed pass says."""

    user_id: str
    device_key: str
    policy_version: str
    issued_at: datetime
    expires_at: datetime


class Passes(Protocol):
    """Reads safety passes."""

    def read(self, signed: SignedPass, at: datetime) -> PassFacts | None:
        """Facts of a pass with a right signature, None for one that has expired.

        Raises StatementRefused for a forged, foreign or malformed one.
        """
        ...


class Grants(Protocol):
    """Signs match grants."""

    def sign(self, match: LiveMatch, user_id: str, at: datetime) -> SignedGrant:
        """A grant for that side, valid for GRANT_LIFE from `at`."""
        ...


GRANT_LIFE = timedelta(minutes=2)


class Meter(Protocol):
    """What operators count."""

    def for_pool(self, pool: str) -> Meter:
        """The same counts for another pool."""
        ...

    def wave(self, took_s: float, took_part: int, pairs: int, left_out: int) -> None:
        """A pass is done."""
        ...

    def engine(self, gap: float, shed: int) -> None:
        """How far from the best the last pass is at most, 0 to 1, and how many people it could not
        take.
        """
        ...

    def waiting(self, waiting: int, paused: int, live: int) -> None:
        """Depths of the pool now."""
        ...

    def matched(self, waited_s: float) -> None:
        """Somebody found somebody after so long."""
        ...

    def waited(self, ticket: Ticket, waited_s: float, end: TicketEnd) -> None:
        """A ticket is over after so long, for good: MATCHED or without a match."""
        ...

    def offered(self, estimated: bool) -> None:
        """Somebody who waited up to the bound was offered to widen their wish."""
        ...

    def over(self, reason: EndReason) -> None:
        """A match ended."""
        ...

    def ticket_over(self, end: TicketEnd) -> None:
        """A ticket ended."""
        ...

    def paused(self, gate: Gate) -> None:
        """A ticket was paused."""
        ...

    def mode(self, mode: PoolMode, stopped: bool) -> None:
        """What is in force for the pool; `stopped`: by the kill switch."""
        ...

    def owns(self, owner: bool) -> None:
        """This replica began or ceased to own the pool."""
        ...

    def verdicts_aged(self, age_s: float) -> None:
        """How old verdicts may be that are not known here, in seconds."""
        ...
