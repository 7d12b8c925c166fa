"""Session vectors in the service: encoded after matches, away from waves, which use what is there.

    match begins -> partners' interests are remembered until it ends
    match ends   -> one talk for each of the two goes into a bounded queue; the oldest is shed
    run()        -> talks are encoded many people at a time; the vector replaces the one before
    wave         -> attach() gives the snapshot every vector of somebody who waits

Whoever encodes may be away: then vectors stay as they are, talks wait (and are shed when they are
too many), and the staleness that waves see grows and is measured. One event loop owns this.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

import structlog

from inyeon.inference.port import SpaceId
from inyeon.inference.sessions import (
    MAX_QUESTIONS,
    MAX_TALKS,
    SessionEncoder,
    SessionQuestion,
    SessionState,
    SessionTalk,
)
from inyeon.matching.domain.interests import Interests, Space
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.recents import Recent, recent_of
from inyeon.matching.domain.session_vectors import SHORT_S, SessionVector
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest, InyeonError

MOST_WAITING = 4_096
"""Talks in the queue: half a minute of ends at 60 matches a second, some 2 MB."""
MOST_KNOWN = 50_000
"""People with a vector, some 1 kB each of 64 dimensions; who was heard longest ago goes first."""
MOST_LIVE = 50_000
"""Matches whose partners' interests are remembered; what lasts longer than so many others teaches
nothing."""
HORIZON_S = 7_200.0
"""Four half-lives: what is left counts a sixteenth, and is no reason to keep it."""
GATHER_S = 0.1
"""As long as a wave: whoever ended meanwhile goes into the same request."""
BUDGET_S = 2.0
"""A batch takes a millisecond and a round trip; an encoder that needs longer is away."""
RETRY_S = 1.0
TEACHES = frozenset({EndReason.LEFT})
"""Somebody chose to go on. A lost connection, a failed call and a sanction say nothing about the
two, and what is reported is conduct, not interests."""

Fate = Literal["encoded", "shed", "refused"]

_log = structlog.get_logger(__name__)


class SessionMeter(Protocol):
    """What operators count."""

    def talks(self, fate: Fate, count: int) -> None:
        """Talks left the queue."""
        ...

    def failed(self, reason: str) -> None:
        """The encoder did not answer."""
        ...

    def lag(self, seconds: float) -> None:
        """A match ended, and so much later waves may use it."""
        ...

    def staleness(self, seconds: float) -> None:
        """A wave paired somebody with a vector; so long ago ended the first match that it lacks, 0
        where it lacks none."""
        ...

    def state(self, known: int, waiting: int) -> None:
        """People with a vector, and talks in the queue."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """One person's side of a match that is over."""

    partner: Interests
    length_s: float
    ended_s: float
    """Seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    vector: SessionVector
    recent: Recent


class Sessions:
    """Of one replica, for all its pools."""

    def __init__(self, encoder: SessionEncoder, clock: Clock, meter: SessionMeter) -> None:
        self._encoder = encoder
        self._clock = clock
        self._meter = meter
        self._partners: OrderedDict[str, dict[str, Interests]] = OrderedDict()
        """By live match and person: the other one's interests."""
        self._waiting: OrderedDict[str, list[Talk]] = OrderedDict()
        """By person, who came first first; nobody without a talk."""
        self._count = 0
        """Talks in it."""
        self._asked: dict[str, list[Talk]] = {}
        """By person: talks that are being encoded."""
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._some = asyncio.Event()

    def began(self, match: LiveMatch, tickets: tuple[Ticket, Ticket]) -> None:
        """A wave made a match."""
        one, other = tickets
        interests = {one.user_id: other.wish.interests, other.user_id: one.wish.interests}
        self._partners[match.match_id] = interests
        if len(self._partners) > MOST_LIVE:
            self._partners.popitem(last=False)
        for user_id in match.users:
            if (seconds := self.staleness_s(user_id)) is not None:
                self._meter.staleness(seconds)

    def ended(self, match: LiveMatch, reason: EndReason, at: datetime) -> None:
        """A match is over. One that began at another replica teaches nothing: only that one knew
        what both were interested in."""
        partners = self._partners.pop(match.match_id, {})
        length_s = (at - match.started_at).total_seconds()
        if reason not in TEACHES or not match.agreed or length_s < SHORT_S:
            return
        for user_id, partner in partners.items():
            self._wait(user_id, [Talk(partner, length_s, at.timestamp())])
        self._tell()

    def attach(self, snapshot: Snapshot) -> Snapshot:
        """With what is known of those who wait."""
        if not self._known:
            return snapshot
        since = self._clock.now().timestamp() - HORIZON_S
        recents = tuple(self._recent(ticket.user_id, since) for ticket in snapshot.tickets)
        if all(one is None for one in recents):
            return snapshot
        return replace(snapshot, recents=recents)

    def staleness_s(self, user_id: str) -> float | None:
        """Since the first match ended that somebody's vector lacks, 0 where it lacks none; None for
        whom nothing is known and nothing waits."""
        lacking = self._asked.get(user_id) or self._waiting.get(user_id)
        if lacking:
            return max(self._clock.now().timestamp() - lacking[0].ended_s, 0.0)
        return 0.0 if user_id in self._known else None

    def forget(self, user_id: str) -> None:
        """Somebody is erased: vector, talks, and what is being encoded."""
        self._known.pop(user_id, None)
        self._asked.pop(user_id, None)
        self._count -= len(self._waiting.pop(user_id, ()))
        for partners in self._partners.values():
            partners.pop(user_id, None)
        self._tell()

    async def run(self) -> None:
        """Encodes for as long as this task lives."""
        while True:
            await self._some.wait()
            await self._clock.sleep(GATHER_S)
            try:
                await self.encode_waiting()
            except InyeonError as error:
                _log.warning("sessions.encoder_away", reason=error.reason, waiting=self._count)
                await self._clock.sleep(RETRY_S)
            self._forget_old()
            self._tell()

    async def encode_waiting(self) -> None:
        """Until nothing waits. Raises what the encoder raises; its talks wait again, behind those
        of others. What it refuses as no session is dropped and counted."""
        while self._waiting:
            space = next(iter(self._waiting.values()))[0].partner.space
            self._asked = self._take(space)
            users = tuple(self._asked)
            questions = [self._question(space, user) for user in users]
            try:
                states = await self._encoder.encode(questions, BUDGET_S)
            except InvalidRequest as error:  # asking again would not help
                _log.error("sessions.refused", field=error.field, error=str(error))
                self._meter.talks("refused", sum(map(len, self._asked.values())))
                self._asked = {}
            except BaseException as error:
                self._put_back()
                if isinstance(error, InyeonError):
                    self._meter.failed(error.reason)
                raise
            else:
                for user, state in zip(users, states, strict=True):
                    self._learn(user, space, state)

    def _wait(self, user_id: str, talks: list[Talk]) -> None:
        self._waiting.setdefault(user_id, []).extend(talks)
        self._count += len(talks)
        while self._count > MOST_WAITING:
            oldest = next(iter(self._waiting))
            self._drop(oldest, 1)
            if oldest in self._waiting:  # what is left of theirs came later than that of others
                self._waiting.move_to_end(oldest)
            self._meter.talks("shed", 1)

    def _drop(self, user_id: str, count: int) -> list[Talk]:
        """Takes somebody's first talks out of the queue."""
        talks = self._waiting[user_id]
        if count >= len(talks):
            del self._waiting[user_id]
        else:
            self._waiting[user_id] = talks[count:]
        self._count -= min(count, len(talks))
        return talks[:count]

    def _take(self, space: Space) -> dict[str, list[Talk]]:
        """The next people whose talks are of that space, each as far as it reaches."""
        taken: dict[str, list[Talk]] = {}
        for user_id, talks in list(self._waiting.items()):
            count = 0
            while count < min(len(talks), MAX_TALKS) and talks[count].partner.space == space:
                count += 1
            if count:
                taken[user_id] = self._drop(user_id, count)
            if len(taken) == MAX_QUESTIONS:
                break
        return taken

    def _put_back(self) -> None:
        asked, self._asked = self._asked, {}
        for user_id, talks in asked.items():
            later = self._drop(user_id, MOST_WAITING) if user_id in self._waiting else []
            self._wait(user_id, [*talks, *later])

    def _question(self, space: Space, user_id: str) -> SessionQuestion:
        known = self._known.get(user_id)
        before = None
        if known is not None and known.vector.space == space:  # others cannot be compared
            vector = known.vector
            before = SessionState(
                vector.total, vector.counted, vector.talks, vector.logs, vector.at_s
            )
        talks = tuple(
            SessionTalk(talk.partner.direction, talk.length_s, talk.ended_s)
            for talk in self._asked[user_id]
        )
        return SessionQuestion(SpaceId(space.model, space.version, space.dims), before, talks)

    def _learn(self, user_id: str, space: Space, state: SessionState) -> None:
        talks = self._asked.pop(user_id, None)
        if talks is None:  # erased meanwhile
            return
        vector = SessionVector(
            space, state.total, state.counted, state.talks, state.logs, state.at_s
        )
        self._known[user_id] = _Known(vector, recent_of(vector))
        self._known.move_to_end(user_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        self._meter.talks("encoded", len(talks))
        now_s = self._clock.now().timestamp()
        for talk in talks:
            self._meter.lag(max(now_s - talk.ended_s, 0.0))

    def _recent(self, user_id: str, since_s: float) -> Recent | None:
        known = self._known.get(user_id)
        return None if known is None or known.vector.at_s < since_s else known.recent

    def _forget_old(self) -> None:
        """Who was heard longest ago is first."""
        since_s = self._clock.now().timestamp() - HORIZON_S
        while self._known and next(iter(self._known.values())).vector.at_s < since_s:
            self._known.popitem(last=False)

    def _tell(self) -> None:
        self._meter.state(len(self._known), self._count)
        if self._waiting:
            self._some.set()
        else:
            self._some.clear()
