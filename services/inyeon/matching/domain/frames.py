"""What a pass went by, as changes against an earlier pass: enough to do it again, bit by bit.

A key frame stands alone. People keep their order of arrival, so whoever stays is known by the
earlier position; whoever enters comes with a position, and with the ticket unless it was described
since the last key frame. Waiting times follow from the moment and from when each began; only those
that do not, to the last bit, are written down.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.columns import write_ticket
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.recents import Recent
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket

KEY_EVERY = 60
"""Frames from one key frame to the next: somebody who reads from the middle misses a minute of
waves at most, and with 1,000 waiting a key frame's 200 kB cost some 3 kB a wave.
"""
KEY_EVERY_S = 300.0
"""A pool with few waves has a key frame at least so often."""

READ_COLUMNS = (
    "age",
    "gender_bit",
    "wanted_genders",
    "country",
    "limited",
    "wanted_countries",
    "tags",
    "levels",
    "welcome",
)
"""Columns of people that a pass reads."""

Places = NDArray[np.int64]


class BaseMissing(ValueError):
    """The frame builds on one that was not read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who takes part and did not, or not alike, before."""

    place: int
    ticket_id: str
    ticket: Ticket | None
    """None: as described since the last key frame."""
    started: float
    paused_s: float
    """Waiting time is now - started - paused_s."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One pass, in."""

    base: int
    """Number of the wave that the changes are against; 0 for a key frame."""
    now: float
    entered: tuple[Entry, ...]
    """By rising position."""
    left: Places
    """(l,) rising positions in the base."""
    barred: Places
    """(k, 2) positions of people who must not meet, new since the base."""
    unbarred: Places
    """(k, 2) positions of people who now may."""
    odd: Places
    """(o,) positions whose waiting time does not follow."""
    odd_waited_s: NDArray[np.float64]
    """(o,) that time."""
    recents: tuple[tuple[int, Recent | None], ...] = ()
    """By rising position: whose recent conversations are known otherwise than in the base, and how;
    None: no more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    wave: int
    place: dict[str, int]
    started: NDArray[np.float64]
    paused_s: NDArray[np.float64]
    barred: Places
    recents: tuple[Recent | None, ...]
    frames: int
    key_at: float


@dataclass(slots=True)
class FrameMaker:
    """Makes frames of one pool. A frame counts as a base once it is kept."""

    _base: _Base | None = None
    _described: dict[str, Ticket] = field(default_factory=dict)
    _next: tuple[_Base, dict[str, Ticket]] | None = None

    def make(self, wave: int, snapshot: Snapshot, now: float) -> Frame:
        """The pass `wave` (above 0) as changes against the last frame that was kept."""
        staying = self._staying(snapshot, now)
        base = self._base if staying is not None else None
        place = staying if staying is not None else np.full(len(snapshot), -1, np.int64)
        described = self._described if base is not None else {}
        entered = tuple(_entries(snapshot, np.flatnonzero(place < 0), described))
        frame = _frame(snapshot, now, base, place, entered)
        known = {**described, **{one.ticket_id: one.ticket for one in entered if one.ticket}}
        self._next = _base_of(wave, snapshot, now, base), known
        return frame

    def keep(self) -> None:
        """The last frame made is written for good."""
        if self._next is not None:
            self._base, self._described = self._next

    def forget(self) -> None:
        """Nobody knows what is written: the next frame is a key frame."""
        self._base, self._described, self._next = None, {}, None

    def _staying(self, snapshot: Snapshot, now: float) -> Places | None:
        """(n,) earlier position of each, -1 for who enters; None where a key frame is due."""
        base = self._base
        if base is None or base.frames >= KEY_EVERY or now - base.key_at >= KEY_EVERY_S:
            return None
        ids = [ticket.ticket_id for ticket in snapshot.tickets]
        place = np.array([base.place.get(one, -1) for one in ids], np.int64).reshape(-1)
        for name, before in (("started", base.started), ("paused_s", base.paused_s)):
            same = before[place] == snapshot.rows[name] if len(before) else place >= 0
            place[~same] = -1
        rising = bool((np.diff(place[place >= 0]) > 0).all())
        return place if rising else None


def _entries(snapshot: Snapshot, places: Places, described: dict[str, Ticket]) -> list[Entry]:
    found = []
    for place in places.tolist():
        ticket, row = snapshot.tickets[place], snapshot.rows[place]
        known = described.get(ticket.ticket_id) is ticket
        began = float(row["started"]), float(row["paused_s"])
        found.append(Entry(place, ticket.ticket_id, None if known else ticket, *began))
    return found


def _frame(
    snapshot: Snapshot, now: float, base: _Base | None, place: Places, entered: tuple[Entry, ...]
) -> Frame:
    count = 0 if base is None else len(base.place)
    moved = _moved(place, count)
    before = _bars(np.zeros((0, 2), np.int64) if base is None else moved[base.barred])
    bars = _bars(snapshot.barred)
    follows = waited(now, snapshot.rows["started"], snapshot.rows["paused_s"])
    odd = np.flatnonzero(follows != snapshot.waited_s)
    return Frame(
        base=0 if base is None else base.wave,
        now=now,
        entered=entered,
        left=np.flatnonzero(moved < 0),
        barred=_without(bars, before),
        unbarred=_without(before, bars),
        odd=odd,
        odd_waited_s=snapshot.waited_s[odd],
        recents=_recents(snapshot, () if base is None else base.recents, place),
    )


def _recents(
    snapshot: Snapshot, before: tuple[Recent | None, ...], place: Places
) -> tuple[tuple[int, Recent | None], ...]:
    """What is known now and was not, or not alike, at the earlier `place` (n,)."""
    if not snapshot.recents and not before:
        return ()
    now = snapshot.recents or (None,) * len(snapshot)
    old = (before[at] if before and at >= 0 else None for at in place.tolist())
    both = enumerate(zip(now, old, strict=True))
    return tuple((at, recent) for at, (recent, known) in both if recent is not known)


def _base_of(wave: int, snapshot: Snapshot, now: float, base: _Base | None) -> _Base:
    return _Base(
        wave,
        {ticket.ticket_id: place for place, ticket in enumerate(snapshot.tickets)},
        snapshot.rows["started"].copy(),
        snapshot.rows["paused_s"].copy(),
        snapshot.barred,
        snapshot.recents,
        1 if base is None else base.frames + 1,
        now if base is None else base.key_at,
    )


def waited(
    now: float, started: NDArray[np.float64], paused_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) seconds of people who are not paused, at least 0."""
    since: NDArray[np.float64] = now - started - paused_s
    return np.maximum(since, 0.0)


def _moved(place: Places, count: int) -> Places:
    """(count,) where those of the base are now, -1 for who left."""
    moved = np.full(count, -1, np.int64)
    moved[place[place >= 0]] = np.flatnonzero(place >= 0)
    return moved


def _bars(pairs: Places) -> Places:
    """Each once, in one order; without pairs of which one has left."""
    here = pairs[(pairs >= 0).all(axis=1)]
    return np.unique(np.sort(here, axis=1), axis=0).reshape(-1, 2)


def _without(pairs: Places, others: Places) -> Places:
    known = set(map(tuple, others.tolist()))
    kept = [pair for pair in pairs.tolist() if tuple(pair) not in known]
    return np.array(kept, np.int64).reshape(-1, 2)


@dataclass(slots=True)
class _Seat:
    ticket: Ticket
    started: float
    paused_s: float
    recent: Recent | None = None


class Rebuilder:
    """From frames back to snapshots, of one pool."""

    def __init__(self) -> None:
        self._wave = 0
        self._seats: list[_Seat] = []
        self._bars: Places = np.zeros((0, 2), np.int64)
        self._described: dict[str, Ticket] = {}
        self._pool = Pool()

    def take(self, wave: int, frame: Frame) -> Snapshot:
        """What the pass `wave` looked at. Raises BaseMissing; the frame then changes nothing."""
        if frame.base not in (0, self._wave) or (frame.base and not self._wave):
            raise BaseMissing(f"wave {wave} builds on wave {frame.base}, which was not read")
        if frame.base == 0:
            self._seats, self._bars, self._described = [], self._bars[:0], {}
        seats, moved = self._seated(frame)
        for place, recent in frame.recents:
            seats[place].recent = recent
        self._bars = _joined(moved[self._bars] if len(self._bars) else self._bars, frame)
        self._seats, self._wave = seats, wave
        return self._snapshot(frame)

    def _seated(self, frame: Frame) -> tuple[list[_Seat], Places]:
        gone = set(frame.left.tolist())
        stay = [place for place in range(len(self._seats)) if place not in gone]
        seats = [self._seats[place] for place in stay]
        for entry in frame.entered:
            seats.insert(entry.place, self._seat(entry))
        moved = np.full(len(self._seats), -1, np.int64)
        entered = {entry.place for entry in frame.entered}
        moved[stay] = [place for place in range(len(seats)) if place not in entered]
        return seats, moved

    def _seat(self, entry: Entry) -> _Seat:
        ticket = entry.ticket or self._described.get(entry.ticket_id)
        if ticket is None:
            raise BaseMissing(f"ticket {entry.ticket_id} was not described since the key frame")
        self._described[entry.ticket_id] = ticket
        return _Seat(ticket, entry.started, entry.paused_s)

    def _snapshot(self, frame: Frame) -> Snapshot:
        tickets = [seat.ticket for seat in self._seats]
        self._sit_down(tickets)
        bare = self._pool.snapshot(0.0)
        if [one.ticket_id for one in bare.tickets] != [one.ticket_id for one in tickets]:
            self._pool = Pool()  # somebody came back to an earlier place
            self._sit_down(tickets)
            bare = self._pool.snapshot(0.0)
        started = np.array([seat.started for seat in self._seats], np.float64)
        paused_s = np.array([seat.paused_s for seat in self._seats], np.float64)
        waited_s = waited(frame.now, started, paused_s)
        waited_s[frame.odd] = frame.odd_waited_s
        rows = bare.rows.copy()
        for place, seat in enumerate(self._seats):
            _widen(rows[place], seat.ticket, float(waited_s[place]))
        recents = tuple(seat.recent for seat in self._seats)
        known = recents if any(recents) else ()
        return dataclasses.replace(
            bare, rows=rows, waited_s=waited_s, barred=self._bars, recents=known
        )

    def _sit_down(self, tickets: list[Ticket]) -> None:
        wanted = {ticket.user_id: ticket for ticket in tickets}
        for ticket in self._pool:
            if wanted.get(ticket.user_id) is not ticket:
                self._pool.remove(ticket.ticket_id, ticket.user_id)
        for ticket in tickets:
            if self._pool.add(ticket, 0.0, 0.0):
                self._pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=math.inf)


def _widen(row: np.void, ticket: Ticket, waited_s: float) -> None:
    wish = ticket.wish.after(waited_s)
    if wish is not ticket.wish:
        write_ticket(row, dataclasses.replace(ticket, wish=wish))


def inputs_digest(snapshot: Snapshot) -> bytes:
    """16 bytes that differ where the pass would read something else."""
    rows = snapshot.rows
    parts = [rows[name] for name in READ_COLUMNS] + [snapshot.waited_s, _bars(snapshot.barred)]
    digest = blake2b(digest_size=16)
    for ticket in snapshot.tickets:
        digest.update(ticket.ticket_id.encode() + ticket.wish.interests.data)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    for place, recent in enumerate(snapshot.recents):
        if recent is not None:
            digest.update(f"{place}\0{recent.space}\0".encode() + recent.steps)
            digest.update(struct.pack("<dd", recent.step, recent.usual_log))
    return digest.digest()


def _joined(stay: Places, frame: Frame) -> Places:
    kept = _without(_bars(stay), _bars(frame.unbarred))
    return _bars(np.concatenate([kept, frame.barred.reshape(-1, 2)]))
