"""The waiting pool: who waits, since when, and whether they may be proposed now. One ticket a user.

All times are seconds of one monotonic clock, given by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.arrivals import Arrivals
from inyeon.matching.domain.aside import ASIDE, begin
from inyeon.matching.domain.columns import ROW, write_ticket
from inyeon.matching.domain.gates import PAUSES, Gate
from inyeon.matching.domain.interests import Space
from inyeon.matching.domain.people import AgeBand, Attention, Verdict
from inyeon.matching.domain.snapshot import Snapshot, SpaceGroup
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.vectors import VectorShelves

FIRST_ROWS = 64
MAX_SPACES = 32
"""Different embedding spaces that wait at once; devices use one or two, during an update."""
OWN_GATES = (
    Gate.SANCTION,
    Gate.NOT_CLEAR,
    Gate.COOL_DOWN,
    Gate.DISTRACTED,
    Gate.AWAY,
    Gate.SAFETY_PASS,
    Gate.AGE_UNKNOWN,
)
"""Of one person, in the order in which they are told."""
AWAY_AFTER_S = 10.0  # a glance aside must not cost the place; nobody is proposed meanwhile
SILENT_AFTER_S = 30.0  # three heartbeats of at most 10 s


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store knows of a person when their ticket comes."""

    verdict: Verdict = Verdict.NONE
    sanctioned_until: float = -math.inf
    cools_until: float = -math.inf


@dataclass(frozen=True, slots=True)
class Bar:
    """A person whom somebody must not meet until a time (inf: for ever)."""

    other_id: str
    until: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What time did to the pool."""

    paused: tuple[tuple[Ticket, Gate], ...] = ()
    """Newly paused tickets, or paused for another reason than before."""
    resumed: tuple[Ticket, ...] = ()
    silent: tuple[Ticket, ...] = ()
    """No sign of life for too long; the caller ends and removes them."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where one ticket stands now."""

    ticket: Ticket
    gate: Gate
    """First closed gate of the person, OPEN for none."""
    paused: bool
    """As of the last tick."""
    waited_s: float
    """Pauses not counted."""


class Pool:
    """Struct of arrays with a row a ticket."""

    def __init__(self) -> None:
        self._rows = np.zeros(FIRST_ROWS, ROW)
        self._aside = np.zeros(FIRST_ROWS, ASIDE)
        self._free = list(range(FIRST_ROWS))
        self._tickets: dict[int, Ticket] = {}
        self._row_of_user: dict[str, int] = {}
        self._bars: dict[str, dict[str, float]] = {}
        self._told: dict[int, Gate] = {}
        self._shelves = VectorShelves()
        self.arrivals = Arrivals()
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(list(self._tickets.values()))

    def of_user(self, user_id: str) -> Ticket | None:
        """The waiting ticket of a user."""
        row = self._row_of_user.get(user_id)
        return None if row is None else self._tickets[row]

    def add(
        self,
        ticket: Ticket,
        now: float,
        started: float,
        standing: Standing | None = None,
        bars: Iterable[Bar] = (),
    ) -> bool:
        """Lets a ticket wait from `started`, at first unseen and without a pass. False: the user
        already waits.
        """
        if ticket.user_id in self._row_of_user:
            return False
        number = self._take_row()
        self._write(number, ticket, now, started, standing or Standing())
        self._tickets[number] = ticket
        self._row_of_user[ticket.user_id] = number
        self._bars[ticket.user_id] = {}
        self.arrivals.add(self._rows[number], started)
        for bar in bars:
            self._keep_bar(ticket.user_id, bar.other_id, bar.until)
        return True

    def has_room_for(self, space: Space) -> bool:
        """The space is known, or there are few enough: every space costs a look of its own in every
        wave, so an unlimited number of them would be one person's way to slow all others."""
        return self._shelves.knows(space) or len(self._shelves) < MAX_SPACES

    def remove(self, ticket_id: str, user_id: str) -> bool:
        """Takes a ticket out. False: it does not wait here."""
        number = self._row_of_user.get(user_id)
        if number is None or self._tickets[number].ticket_id != ticket_id:
            return False
        self._shelves.drop(self._tickets[number].wish.interests.space, self._rows[number]["slot"])
        self._rows[number]["used"] = False
        self._free.append(number)
        del self._tickets[number], self._row_of_user[user_id], self._bars[user_id]
        self._told.pop(number, None)
        return True

    def heartbeat(
        self, user_id: str, now: float, present: bool | Attention, pass_until: float
    ) -> bool:
        """A sign of life; `pass_until` is when the newest safety pass ends (-inf: none).

        `present` may say only that somebody is there (True) or not (False). True when it ended a
        pause: who comes back waits for no tick.
        """
        number = self._row_of_user.get(user_id)
        if number is None:
            return False
        row = self._rows[number]
        row["heard_at"] = now
        row["pass_until"] = pass_until
        self._attend(number, now, _attention(present))
        return self._resumes(number, now)

    def lose_sight(self, user_id: str, now: float) -> None:
        """The stream to the device broke: nobody is proposed until the next sign of life."""
        number = self._row_of_user.get(user_id)
        if number is not None:
            self._attend(number, now, Attention.AWAY)

    def judge(self, user_id: str, verdict: Verdict) -> None:
        """A new verdict is in force."""
        if user_id in self._row_of_user:
            self._rows[self._row_of_user[user_id]]["lets_meet"] = verdict.lets_meet

    def sanction(self, user_id: str, until: float) -> None:
        """A sanction is in force until then."""
        if user_id in self._row_of_user:
            self._rows[self._row_of_user[user_id]]["sanctioned_until"] = until

    def bar(self, one_id: str, other_id: str, until: float) -> None:
        """These two must not meet until then; never shortens an earlier bar."""
        self._keep_bar(one_id, other_id, until)
        self._keep_bar(other_id, one_id, until)

    def tick(self, now: float) -> Changes:
        """Pauses and resumes tickets as their gates say. Call at least once a second."""
        if not self._row_of_user:
            return Changes()
        used = np.flatnonzero(self._rows["used"])
        gates = self._gates(used, now)
        paused, resumed = [], []
        for number, gate in zip(used.tolist(), map(Gate, gates.tolist()), strict=True):
            if self._stands_still(number, gate, now):
                if self._told.get(number) is not gate:
                    paused.append((self._pause(number, gate, now), gate))
            elif number in self._told:
                resumed.append(self._resume(number, now))
        silent = used[self._rows["heard_at"][used] + SILENT_AFTER_S <= now]
        return Changes(
            tuple(paused), tuple(resumed), tuple(self._tickets[row] for row in silent.tolist())
        )

    def look(self, user_id: str, now: float) -> Look:
        """Where a waiting user stands. Raises KeyError for somebody who does not wait."""
        return self._looks(np.array([self._row_of_user[user_id]]), now)[0]

    def looks(self, now: float, users: Collection[str] | None = None) -> list[Look]:
        """Where everybody stands, in the order of rows; or those of these users who wait."""
        if not self._row_of_user:
            return []
        if users is None:
            return self._looks(np.flatnonzero(self._rows["used"]), now)
        rows = sorted(self._row_of_user[user] for user in users if user in self._row_of_user)
        return self._looks(np.array(rows, np.int64), now) if rows else []

    def cools_s(self, user_id: str, now: float) -> float:
        """Seconds of cool-down left. Raises KeyError for somebody who does not wait."""
        until = float(self._aside[self._row_of_user[user_id]]["cools_until"])
        return max(until - now, 0.0)

    def paused_s(self, user_id: str, now: float) -> float:
        """Seconds paused, the present pause included. Raises KeyError for somebody who does not
        wait.
        """
        row = self._rows[self._row_of_user[user_id]]
        return float(now - row["started"]) - self.look(user_id, now).waited_s

    def paused_count(self) -> int:
        """Tickets paused at the last tick."""
        return len(self._told)

    def longest_wait_s(self, now: float) -> float:
        """0 when nobody waits."""
        waits = _waited(self._rows[self._rows["used"]], now)
        return float(waits.max(initial=0.0))

    def snapshot(self, now: float) -> Snapshot:
        """Everybody whose own gates are open, in order of arrival, with the wishes that their own
        plans leave by now."""
        if not self._row_of_user:
            return Snapshot.empty()
        used = np.flatnonzero(self._rows["used"])
        self._widen(used, now)
        chosen = used[self._gates(used, now) == Gate.OPEN]
        chosen = chosen[np.argsort(self._rows["arrival"][chosen], kind="stable")]
        rows = self._rows[chosen]
        tickets = tuple(self._tickets[number] for number in chosen.tolist())
        return Snapshot(
            tickets, rows, _waited(rows, now), self._spaces(rows), self._barred(tickets, now)
        )

    def _looks(self, numbers: NDArray[np.int64], now: float) -> list[Look]:
        rows = self._rows[numbers]
        gates, waits = self._gates(numbers, now).tolist(), _waited(rows, now).tolist()
        return [
            Look(self._tickets[number], Gate(gate), number in self._told, waited_s)
            for number, gate, waited_s in zip(numbers.tolist(), gates, waits, strict=True)
        ]

    def _take_row(self) -> int:
        if not self._free:
            size = len(self._rows)
            self._rows = np.concatenate([self._rows, np.zeros(size, ROW)])
            self._aside = np.concatenate([self._aside, np.zeros(size, ASIDE)])
            self._free = list(range(size, 2 * size))
        return self._free.pop()

    def _write(
        self, number: int, ticket: Ticket, now: float, started: float, standing: Standing
    ) -> None:
        row = self._rows[number]
        write_ticket(row, ticket)
        begin(self._aside[number], ticket, standing.cools_until)
        row["arrival"] = self._arrivals
        self._arrivals += 1
        row["space"], row["slot"] = self._shelves.put(ticket.wish.interests)
        row["started"], row["paused_s"], row["paused_since"] = started, ticket.paused_s, math.nan
        row["absent_since"], row["heard_at"], row["pass_until"] = -math.inf, now, -math.inf
        row["lets_meet"] = standing.verdict.lets_meet
        row["sanctioned_until"] = standing.sanctioned_until
        row["used"] = True

    def _keep_bar(self, user_id: str, other_id: str, until: float) -> None:
        if user_id in self._bars:
            bars = self._bars[user_id]
            bars[other_id] = max(until, bars.get(other_id, -math.inf))

    def _widen(self, used: NDArray[np.int64], now: float) -> None:
        """Drops the filters that people's own plans drop by now; nothing else ever does."""
        waited = _waited(self._rows[used], now)
        for at in np.flatnonzero(waited >= self._aside["widens_at_s"][used]).tolist():
            number, waited_s = int(used[at]), float(waited[at])
            ticket = self._tickets[number]
            self._aside[number]["widens_at_s"] = ticket.wish.next_widening_s(waited_s)
            widened = replace(ticket, wish=ticket.wish.after(waited_s))
            write_ticket(self._rows[number], widened)

    def _attend(self, number: int, now: float, attention: Attention) -> None:
        row = self._rows[number]
        self._aside[number]["distracted"] = attention is Attention.DISTRACTED
        if attention is Attention.PRESENT:
            row["absent_since"] = math.nan
        elif math.isnan(row["absent_since"]):
            row["absent_since"] = now

    def _gates(self, numbers: NDArray[np.int64], now: float) -> NDArray[np.uint8]:
        rows, absent = self._rows[numbers], ~np.isnan(self._rows["absent_since"][numbers])
        closed = [
            rows["sanctioned_until"] > now,
            ~rows["lets_meet"],
            self._aside["cools_until"][numbers] > now,
            absent & self._aside["distracted"][numbers],
            absent,
            rows["pass_until"] <= now,
            rows["age"] == AgeBand.UNKNOWN,
        ]
        chosen = np.select(closed, [np.uint8(gate) for gate in OWN_GATES], np.uint8(Gate.OPEN))
        return chosen.astype(np.uint8)

    def _stands_still(self, number: int, gate: Gate, now: float) -> bool:
        if gate in (Gate.AWAY, Gate.DISTRACTED):
            return bool(now - self._rows[number]["absent_since"] >= AWAY_AFTER_S)
        return gate in PAUSES

    def _pause(self, number: int, gate: Gate, now: float) -> Ticket:
        if number not in self._told:
            self._rows[number]["paused_since"] = now
        self._told[number] = gate
        return self._tickets[number]

    def _resumes(self, number: int, now: float) -> bool:
        """Ends the pause of a row whose gates have opened."""
        if number not in self._told:
            return False
        (gate,) = self._gates(np.array([number]), now).tolist()
        if self._stands_still(number, Gate(gate), now):
            return False
        self._resume(number, now)
        return True

    def _resume(self, number: int, now: float) -> Ticket:
        row = self._rows[number]
        row["paused_s"] += now - row["paused_since"]
        row["paused_since"] = math.nan
        del self._told[number]
        return self._tickets[number]

    def _spaces(self, rows: NDArray[np.void]) -> tuple[SpaceGroup, ...]:
        groups = []
        for number in np.unique(rows["space"]).tolist():
            places = np.flatnonzero(rows["space"] == number)
            groups.append(SpaceGroup(places, *self._shelves.gather(number, rows["slot"][places])))
        return tuple(groups)

    def _barred(self, tickets: tuple[Ticket, ...], now: float) -> NDArray[np.int64]:
        place = {ticket.user_id: number for number, ticket in enumerate(tickets)}
        pairs = [
            (min(mine, place[other]), max(mine, place[other]))
            for user_id, mine in place.items()
            for other in self._bars[user_id].keys() & place.keys()
            if self._bars[user_id][other] > now
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)


def _attention(present: bool | Attention) -> Attention:
    if isinstance(present, Attention):
        return present
    return Attention.PRESENT if present else Attention.AWAY


def _waited(rows: NDArray[np.void], now: float) -> NDArray[np.float64]:
    standing = np.where(np.isnan(rows["paused_since"]), 0.0, now - rows["paused_since"])
    waited: NDArray[np.float64] = now - rows["started"] - rows["paused_s"] - standing
    return np.maximum(waited, 0.0)
