"""A SIMULATED evening: people come, wait, meet, come again or leave; the pool and the waves are
those of the service. Driven by events on a virtual clock: nothing sleeps.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.pool import Bar, Pool
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.simulation.calibration import Calibration
from inyeon.matching.simulation.chance import exponential, uniform
from inyeon.matching.simulation.choosing import Chooser, Signs
from inyeon.matching.simulation.crowd import MADE_AT, Visitor
from inyeon.matching.simulation.judging import may_meet, similarity
from inyeon.matching.simulation.meetings import Meeting, Meetings
from inyeon.matching.simulation.scenario import Policy, Scenario

BEAT_EVERY_S = 10.0
"""Devices send a heartbeat at least so often."""
SIGN_BEFORE_S = 5.0
"""So long before they leave, those who are predictable show it; assumed."""
BREATH_S = 2.0
"""Between the end of a meeting and the next wish; assumed."""
POOL = "simulated"


class Fate(IntEnum):
    """How a ticket ended in the run."""

    OPEN = 0
    MATCHED = 1
    LEFT = 2
    SHED = 3
    """Refused at the door: the pool was full."""


@dataclass(slots=True)
class Seek:
    """One ticket of a visitor and what became of it."""

    who: int
    began: float
    leaves_at: float
    signed: bool
    """The device shows that they are about to leave."""
    ended: float = math.nan
    fate: Fate = Fate.OPEN


@dataclass(frozen=True, slots=True)
class Met:
    """A pair of one run."""

    at: float
    seeks: tuple[int, int]
    """Positions among the run's seeks."""
    similarity: float
    again: int
    """How often they had met before."""
    within_horizon: bool
    right: bool
    """Every gate holds, judged apart from the engine."""
    meeting: Meeting


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that happened under one policy."""

    seeks: tuple[Seek, ...]
    meetings: tuple[Met, ...]
    deepest: int
    """Most tickets at once."""
    passes: int


class World:
    """One run of one policy."""

    def __init__(
        self,
        scenario: Scenario,
        crowd: Sequence[Visitor],
        data: Calibration,
        policy: Policy,
        seed: int,
    ) -> None:
        self._scenario, self._crowd, self._policy, self._seed = scenario, crowd, policy, seed
        self._routes = Routes.parse(scenario.routes)
        self._chooser = Chooser(policy, self._routes, seed)
        self._outcomes = Meetings(crowd, data, scenario.blocks, seed)
        self._pool = Pool()
        self._now, self._order, self._passes, self._deepest = 0.0, 0, 0, 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._seeks: list[Seek] = []
        self._met: list[Met] = []
        self._waiting: dict[str, int] = {}
        self._count: dict[tuple[int, int], int] = defaultdict(int)
        self._until: dict[int, dict[int, float]] = defaultdict(dict)
        self._sought: dict[int, int] = defaultdict(int)

    def run(self, progress: Callable[[float], None] = lambda _: None) -> Run:
        """To the end of the scenario; `progress` hears the simulated seconds at each wave."""
        for who, visitor in enumerate(self._crowd):
            self._at(visitor.arrives_at, lambda who=who: self._seek(who))  # type: ignore[misc]
        self._at(BEAT_EVERY_S, self._beat)
        if self._chooser.in_waves:
            self._at(self._policy.wave_every_s, lambda: self._wave(progress))
        while self._events and self._events[0][0] <= self._scenario.duration_s:
            self._now, _, happens = heapq.heappop(self._events)
            happens()
        return Run(tuple(self._seeks), tuple(self._met), self._deepest, self._passes)

    def _at(self, when: float, happens: Callable[[], None]) -> None:
        # The order breaks ties, so that equal times never compare functions.
        self._order += 1
        heapq.heappush(self._events, (when, self._order, happens))

    def _seek(self, who: int) -> None:
        visitor, number = self._crowd[who], self._sought[who]
        self._sought[who] += 1
        place = len(self._seeks)
        seek = Seek(who, self._now, self._now + self._patience_s(who, number), False)
        seek.signed = uniform(self._seed, who, number, "sign") < self._scenario.predictable
        self._seeks.append(seek)
        if len(self._pool) >= self._scenario.max_waiting:
            return self._end(place, Fate.SHED)
        self._enter(visitor, number, place)
        self._at(seek.leaves_at, lambda: self._leave(place))
        if self._chooser.on_arrival:
            self._look(
                self._chooser.arrival(self._pool.snapshot(self._now), visitor.person.user_id)
            )

    def _patience_s(self, who: int, number: int) -> float:
        shape = self._scenario.patience_shape
        scale = self._scenario.patience_s / math.gamma(1 + 1 / shape)
        return scale * float(exponential(self._seed, who, number, "patience") ** (1 / shape))

    def _enter(self, visitor: Visitor, number: int, place: int) -> None:
        user_id = visitor.person.user_id
        made = MADE_AT + timedelta(seconds=self._now)
        ticket = Ticket(f"{user_id}-{number}", visitor.person, visitor.wish, POOL, made)
        who = self._seeks[place].who
        bars = [Bar(f"person-{other}", until) for other, until in self._until[who].items()]
        self._pool.add(ticket, self._now, self._now, bars=bars)
        self._pool.heartbeat(user_id, self._now, present=True, pass_until=math.inf)
        self._waiting[user_id] = place
        self._deepest = max(self._deepest, len(self._pool))

    def _leave(self, place: int) -> None:
        if self._seeks[place].fate is Fate.OPEN:
            self._end(place, Fate.LEFT)

    def _end(self, place: int, fate: Fate) -> None:
        seek = self._seeks[place]
        seek.ended, seek.fate = self._now, fate
        user_id = self._crowd[seek.who].person.user_id
        if self._waiting.pop(user_id, None) is not None:
            ticket = self._pool.of_user(user_id)
            if ticket is not None:
                self._pool.remove(ticket.ticket_id, user_id)

    def _beat(self) -> None:
        beat = round(self._now / BEAT_EVERY_S)
        for user_id in list(self._waiting):
            away = uniform(self._seed, user_id, beat, "away") < self._scenario.away
            self._pool.heartbeat(user_id, self._now, present=not away, pass_until=math.inf)
        self._at(self._now + BEAT_EVERY_S, self._beat)

    def _wave(self, progress: Callable[[float], None]) -> None:
        self._pool.tick(self._now)
        if len(self._pool) > 1:
            self._look(self._chooser.wave(self._pool.snapshot(self._now), self._signs()))
        self._at(self._now + self._policy.wave_every_s, lambda: self._wave(progress))
        progress(self._now)

    def _signs(self) -> Signs:
        return Signs(
            frozenset(
                user_id
                for user_id, place in self._waiting.items()
                if self._seeks[place].signed
                and self._seeks[place].leaves_at - SIGN_BEFORE_S <= self._now
            )
        )

    def _look(self, pairs: Sequence[tuple[Ticket, Ticket]]) -> None:
        self._passes += 1
        for one, other in pairs:
            self._meet(one, other)

    def _meet(self, one: Ticket, other: Ticket) -> None:
        places = self._waiting[one.user_id], self._waiting[other.user_id]
        low, high = sorted(self._seeks[place].who for place in places)
        again, likeness = self._count[low, high], similarity(one.wish, other.wish)
        meeting = self._outcomes.hold(low, high, likeness, again)
        early = self._until[low].get(high, -math.inf) > self._now
        right = may_meet(one, other, self._routes)
        self._met.append(Met(self._now, places, likeness, again, early, right, meeting))
        self._count[low, high] += 1
        over = self._now + self._scenario.rematch_horizon_s
        self._until[low][high] = self._until[high][low] = math.inf if meeting.blocked else over
        for place in places:
            self._end(place, Fate.MATCHED)
            self._come_again(self._seeks[place].who, self._now + meeting.length_s + BREATH_S)

    def _come_again(self, who: int, at: float) -> None:
        if self._sought[who] < self._crowd[who].seeks:
            self._at(at, lambda: self._seek(who))
