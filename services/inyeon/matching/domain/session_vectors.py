"""What recent conversations say about somebody's taste, as a direction in the space of interests.

After each match the partner's direction is added when they talked longer than this person usually
does, and taken away when they talked less; what was there before fades by half in HALF_LIFE_S. A
plain mean of partners, weighted by length, was tried first: it only said again whom the score had
chosen, and gained nothing in the simulation of benches/session_staleness.py. It is computed after
the match, away from the waves, which use whatever is there: a wave never waits for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Interests, Space

Exact = NDArray[np.float64]
Float = NDArray[np.float32]

HALF_LIFE_S = 1_800.0
"""A session lasts some half an hour: what was said two sessions ago counts a quarter."""
SHORT_S = 3.0
"""Below, people hardly saw each other: nothing is learned."""
LONG_S = 1_800.0
"""Above, a conversation is as long as this one: one evening must not drown all others."""
USUAL_S = 60.0
"""How long somebody unknown talks, counted like one conversation among their own."""
DOUBLINGS = 2.0
"""Four times longer than usual counts 1, four times shorter -1, between by the logarithm."""
TRUST = 1.0
"""Sum of such counts at which a vector is worth half."""
FADED = 1e-3
"""Below this share of a conversation nothing is left to divide by."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionVector:
    """Sums over conversations of one space, as of a moment."""

    space: Space
    total: Exact
    """(dims,) sum of count * direction."""
    counted: float
    """Sum of the counts without their signs, at least 0."""
    talks: float
    """Conversations, each faded, above 0."""
    logs: float
    """Sum of log2(seconds)."""
    at_s: float
    """Seconds of one clock."""

    @property
    def direction(self) -> Float:
        """(dims,) float32 of length `trust` or less: as small as little is known, or as the
        conversations disagree."""
        return np.asarray(self.total / (self.counted + TRUST), dtype=np.float32)

    @property
    def trust(self) -> float:
        """From 0, nothing known, towards 1."""
        return self.counted / (self.counted + TRUST)

    @property
    def usual_log(self) -> float:
        """log2 of the seconds that this person usually talks."""
        return (self.logs + math.log2(USUAL_S)) / (self.talks + 1.0)


def absorbed(
    known: SessionVector | None, partner: Interests, length_s: float, now_s: float
) -> SessionVector | None:
    """With one more conversation of `length_s` seconds that ended at `now_s`.

    A very short one, or one of no known length, changes nothing. Vectors of another space are
    forgotten: they cannot be compared. A clock that went back fades nothing."""
    if not length_s >= SHORT_S:  # NaN too
        return known
    same = None if known is None or known.space != partner.space else faded(known, now_s)
    before = same or _nothing(partner.space, now_s)
    heard = math.log2(min(length_s, LONG_S))
    count = max(-1.0, min((heard - before.usual_log) / DOUBLINGS, 1.0))
    return SessionVector(
        partner.space,
        before.total + count * partner.direction.astype(np.float64),
        before.counted + abs(count),
        before.talks + 1.0,
        before.logs + heard,
        before.at_s,
    )


def faded(known: SessionVector, now_s: float) -> SessionVector | None:
    """As of now; None where nothing is left."""
    left = math.exp2(-max(now_s - known.at_s, 0.0) / HALF_LIFE_S)
    if known.talks * left < FADED:
        return None
    return SessionVector(
        known.space,
        known.total * left,
        known.counted * left,
        known.talks * left,
        known.logs * left,
        max(now_s, known.at_s),
    )


def session_term(sessions: tuple[Float, Float], interests: tuple[Float, Float]) -> Exact:
    """(n,) the score's term SESSION in [0, 1] of n pairs, all of one space; 0.5 says nothing.

    `sessions` are both people's directions (n, dims), rows of zeros where nothing is known, and
    `interests` their unit vectors (n, dims): the mean over both of how far the one's recent taste
    points to the other, from -1 to 1, moved into the score's range."""
    mine = np.einsum("nd,nd->n", sessions[0], interests[1], dtype=np.float64)
    yours = np.einsum("nd,nd->n", sessions[1], interests[0], dtype=np.float64)
    return np.asarray(np.clip(0.5 + (mine + yours) / 4.0, 0.0, 1.0))


def _nothing(space: Space, now_s: float) -> SessionVector:
    return SessionVector(space, np.zeros(space.dims), 0.0, 0.0, 0.0, now_s)
