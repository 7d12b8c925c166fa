"""A simulated evening of conversations, for the benches of session vectors and of lengths.

SIMULATED: people have declared interests and a hidden taste that the declared ones tell in part,
and some talk longer than others whoever is there. Two talk longer the better they like each other,
with noise, and the one who began is free again after some seconds. Whoever is free picks the best
of some candidates by score, with session vectors that became visible `staleness` after each
conversation. Nobody is taken away from others: one may be in several conversations.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.session_vectors import (
    USUAL_S,
    SessionVector,
    absorbed,
    session_term,
)

PEOPLE, TALKS, CANDIDATES, DIMS, TOPICS = 120, 12, 24, 64, 8
DECLARED = 0.6
"""Cosine of declared interests and hidden taste."""
WEIGHT = 4.0
"""Of the session term beside 1 for interests."""
MEDIAN_TALK_S, LIKING, NOISE, CHATTY = 20.0, 4.0, 0.6, 0.3
"""Seconds at no liking; logarithms for a liking of 1, of noise and of people's habits."""
GAP_S = (2.0, 10.0)
SPACE = Space("simulated", "1", DIMS, Encoding.INT8, 1.0)
NOBODY = -1

Float = NDArray[np.float32]
Exact = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Talk:
    """What was known when a conversation began, and how it went."""

    similarity: float
    session: float
    usual: tuple[float, float]
    """log2 of seconds, of both."""
    liking: float
    """Hidden: mean of both people's liking, a cosine."""
    length_s: float


@dataclass(slots=True)
class Member:
    """Somebody of the simulation."""

    interests: Interests
    direction: Float
    taste: Float
    chatty: float
    vector: SessionVector | None = None
    seen: list[tuple[float, SessionVector]] = field(default_factory=list)
    """(when it becomes visible, vector), by rising time."""

    def visible(self, now_s: float) -> SessionVector | None:
        """What a wave sees now."""
        ready = [vector for at_s, vector in self.seen if at_s <= now_s]
        return ready[-1] if ready else None

    def talked(self, partner: Interests, length_s: float, now_s: float, staleness_s: float) -> None:
        """A conversation ended now."""
        self.vector = absorbed(self.vector, partner, length_s, now_s)
        if self.vector is not None:
            self.seen.append((now_s + staleness_s, self.vector))


def evening(seed: int, staleness_s: float) -> list[Talk]:
    """All conversations by their beginning; staleness may be infinite: no session vectors."""
    draw = np.random.default_rng(seed)
    members = [_member(draw) for _ in range(PEOPLE)]
    declared = np.array([member.direction for member in members])
    events = [(float(draw.uniform(0, 60)), who, NOBODY) for who in range(PEOPLE)]
    left, lengths, talks = [TALKS] * PEOPLE, [0.0] * PEOPLE, list[Talk]()
    heapq.heapify(events)
    while events:
        now_s, who, partner = heapq.heappop(events)
        if partner != NOBODY:  # their conversation is over
            for one, other in ((who, partner), (partner, who)):
                members[one].talked(members[other].interests, lengths[who], now_s, staleness_s)
            if left[who]:
                heapq.heappush(events, (now_s + float(draw.uniform(*GAP_S)), who, NOBODY))
            continue
        others = draw.choice(np.delete(np.arange(PEOPLE), who), CANDIDATES, replace=False)
        near, session = _terms(members, declared, who, others, now_s)
        place = int(np.argmax(near + WEIGHT * session))
        chosen = int(others[place])
        known = (float(near[place]), float(session[place]))
        talks.append(_talk(members[who], members[chosen], known, now_s, draw))
        lengths[who] = talks[-1].length_s
        left[who] -= 1
        heapq.heappush(events, (now_s + lengths[who], who, chosen))
    return talks


def _terms(
    members: list[Member], declared: Float, who: int, others: Ints, now_s: float
) -> tuple[Exact, Exact]:
    mine, theirs = np.tile(declared[who], (len(others), 1)), declared[others]
    sessions = np.array([_direction(members[other], now_s) for other in others.tolist()])
    own = np.tile(_direction(members[who], now_s), (len(others), 1))
    near = np.maximum(np.einsum("nd,nd->n", mine, theirs, dtype=np.float64), 0.0)
    return near, session_term((own, sessions), (mine, theirs))


def _direction(member: Member, now_s: float) -> Float:
    vector = member.visible(now_s)
    return np.zeros(DIMS, np.float32) if vector is None else vector.direction


def _usual(member: Member, now_s: float) -> float:
    vector = member.visible(now_s)
    return math.log2(USUAL_S) if vector is None else vector.usual_log


def _talk(
    one: Member, other: Member, known: tuple[float, float], now_s: float, draw: np.random.Generator
) -> Talk:
    liking = float(one.taste @ other.direction + other.taste @ one.direction) / 2
    habits = one.chatty + other.chatty
    length_s = MEDIAN_TALK_S * math.exp(LIKING * liking + habits + draw.normal(0.0, NOISE))
    return Talk(*known, (_usual(one, now_s), _usual(other, now_s)), liking, length_s)


def _member(draw: np.random.Generator) -> Member:
    """Interests of few topics, so that people can be near each other at all."""
    topics = np.zeros((2, DIMS))
    topics[:, :TOPICS] = draw.normal(size=(2, TOPICS))
    declared, hidden = topics / np.linalg.norm(topics, axis=1, keepdims=True)
    taste = DECLARED * declared + math.sqrt(1 - DECLARED**2) * hidden
    taste /= np.linalg.norm(taste)
    sent = read_interests(SPACE, np.round(127 * declared).astype("i1").tobytes())
    return Member(sent, sent.direction, taste.astype(np.float32), float(draw.normal(0.0, CHATTY)))
