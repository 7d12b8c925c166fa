"""What a length model may know of pairs, read from the snapshot in which a wave chose them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.languages import MAX_LEVEL
from inyeon.matching.domain.recents import USUAL_LOG, Recent
from inyeon.matching.domain.session_vectors import session_term
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket

Exact = NDArray[np.float64]
_Known = tuple[Ticket, Recent | None]


def pair_row(snapshot: Snapshot, one: int, other: int) -> tuple[float, ...]:
    """Of two positions, in the order of lengths.FEATURES: as a wave sees them (tasting.py)."""
    mine, yours = _known(snapshot, one), _known(snapshot, other)
    alike, session = _similarity(mine[0], yours[0]), _session(mine, yours)
    level = _common_level(mine[0], yours[0])
    usual = [USUAL_LOG if recent is None else recent.usual_log for _, recent in (mine, yours)]
    return (
        alike,
        level / MAX_LEVEL,
        1.0 if level == 0 else 0.0,
        session,
        sum(usual) / 2,
        abs(usual[0] - usual[1]),
    )


def _known(snapshot: Snapshot, place: int) -> _Known:
    recent = snapshot.recents[place] if snapshot.recents else None
    return snapshot.tickets[place], recent


def _similarity(one: Ticket, other: Ticket) -> float:
    mine, yours = one.wish.interests, other.wish.interests
    if mine.space != yours.space:
        return 0.0
    return max(float(mine.direction @ yours.direction), 0.0)


def _session(one: _Known, other: _Known) -> float:
    interests = [ticket.wish.interests for ticket, _ in (one, other)]
    if interests[0].space != interests[1].space:
        return 0.5
    tastes = [_taste(known).reshape(1, -1) for known in (one, other)]
    directions = [found.direction.reshape(1, -1) for found in interests]
    return float(session_term((tastes[0], tastes[1]), (directions[0], directions[1]))[0])


def _taste(known: _Known) -> NDArray[np.float32]:
    ticket, recent = known
    space = ticket.wish.interests.space
    if recent is None or recent.space != space:
        return np.zeros(space.dims, np.float32)
    return (recent.whole * np.float32(recent.step)).astype(np.float32)


def _common_level(one: Ticket, other: Ticket) -> int:
    theirs = {spoken.tag: spoken.level for spoken in other.wish.languages}
    levels = [min(mine.level, theirs.get(mine.tag, 0)) for mine in one.wish.languages]
    return max(levels, default=0)
