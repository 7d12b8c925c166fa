"""Session vectors in the service: encoded after matches, away from waves, which use what is there.

    match begins -> partners' interests are remembered until it ends
    match ends   -> one talk for each of the two goes into a bounded queue; the oldest is shed
    run()        -> talks are encoded many people at a time; the vector replaces the one before
    wave         -> attach() gives the snapshot every vector of somebody who waits

Whoever encodes may be away: then vectors stay as they are, talks wait (and are shed when they are
too many), and the staleness that waves see grows and is measured. The shelf brings vectors over a
restart and to another owner of a pool; with it away, memory is all there is. One event loop owns
this.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

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
from inyeon.matching.app.session_ports import SessionMeter, SessionShelf
from inyeon.matching.app.talks import Talk, TalkQueue
from inyeon.matching.domain.interests import Interests, Space
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.recents import Recent, recent_of
from inyeon.matching.domain.session_vectors import SHORT_S, SessionVector
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest, InyeonError

MOST_KNOWN = 50_000
"""People with a vector, some 1 kB each of 64 dimensions; who was heard longest ago goes first."""
MOST_LIVE = 50_000
"""Matches whose partners' interests are remembered; what lasts longer than so many others teaches
nothing."""
HORIZON_S = 7_200.0
"""Four half-lives: what is left counts a sixteenth, and is no reason to keep it."""
TIDY_S = 60.0
"""A vector outlives its horizon by so much at most."""
GATHER_S = 0.1
"""As long as a wave: whoever ended meanwhile goes into the same request."""
BUDGET_S = 2.0
"""A batch takes a millisecond and a round trip; an encoder that needs longer is away."""
RETRY_S = 1.0
TEACHES = frozenset({EndReason.LEFT})
"""Somebody chose to go on. A lost connection, a failed call and a sanction say nothing about the
two, and what is reported is conduct, not interests."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    vector: SessionVector
    recent: Recent


class Sessions:
    """Of one replica, for all its pools."""

    def __init__(
        self,
        encoder: SessionEncoder,
        clock: Clock,
        meter: SessionMeter,
        shelf: SessionShelf | None = None,
    ) -> None:
        self._encoder = encoder
        self._clock = clock
        self._meter = meter
        self._shelf = shelf
        self._partners: OrderedDict[str, dict[str, Interests]] = OrderedDict()
        """By live match and person: the other one's interests."""
        self._waiting = TalkQueue()
        self._asked: dict[str, list[Talk]] = {}
        """By person: talks that are being encoded."""
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._behind = True
        """The shelf may have vectors that are not known here."""
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
            self._shed(self._waiting.put(user_id, [Talk(partner, length_s, at.timestamp())]))
        self._tell()

    def attach(self, snapshot: Snapshot) -> Snapshot:
        """With what is known of those who wait."""
        if not self._known:
            return snapshot
        since_s = self._since_s()
        recents = tuple(self._recent(ticket.user_id, since_s) for ticket in snapshot.tickets)
        if all(one is None for one in recents):
            return snapshot
        return replace(snapshot, recents=recents)

    def staleness_s(self, user_id: str) -> float | None:
        """Since the first match ended that somebody's vector lacks, 0 where it lacks none; None for
        whom nothing is known and nothing waits."""
        asked = self._asked.get(user_id)
        lacking = asked[0] if asked else self._waiting.first(user_id)
        if lacking is not None:
            return max(self._clock.now().timestamp() - lacking.ended_s, 0.0)
        return 0.0 if user_id in self._known else None

    def taken_over(self) -> None:
        """A pool is ours now: what its last owner learned is on the shelf."""
        self._behind = True
        self._some.set()

    async def forget(self, user_id: str) -> None:
        """Somebody is erased: vector, talks, and what is being encoded, here and on the shelf.
        Raises what the shelf raises."""
        self._known.pop(user_id, None)
        self._asked.pop(user_id, None)
        self._waiting.drop(user_id)
        for partners in self._partners.values():
            partners.pop(user_id, None)
        self._tell()
        if self._shelf is not None:
            await self._shelf.forget(user_id)

    async def run(self) -> None:
        """Encodes and forgets for as long as this task lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._encode())
            group.create_task(self._tidy())

    async def encode_waiting(self) -> None:
        """Until nothing waits. Raises what the encoder raises; its talks wait again, behind those
        of others. What it refuses as no session is dropped and counted."""
        while self._waiting:
            space, self._asked = self._waiting.take(MAX_QUESTIONS, MAX_TALKS)
            try:
                await self._catch_up(tuple(self._asked))
                users = tuple(self._asked)
                questions = [self._question(space, user) for user in users]
                states = await self._encoder.encode(questions, BUDGET_S) if users else ()
            except InvalidRequest as error:  # asking again would not help
                _log.error("sessions.refused", field=error.field, error=str(error))
                self._meter.talks("refused", sum(map(len, self._asked.values())))
                self._asked = {}
                continue
            except BaseException as error:
                self._put_back(error)
                raise
            await self._learn(space, dict(zip(users, states, strict=True)))

    async def _encode(self) -> None:
        while True:
            if self._behind:
                await self._load()
            await self._some.wait()
            await self._clock.sleep(GATHER_S)
            try:
                await self.encode_waiting()
            except InyeonError as error:
                waiting = len(self._waiting)
                _log.warning("sessions.encoder_away", reason=error.reason, waiting=waiting)
                await self._clock.sleep(RETRY_S)
            self._tell()

    async def _tidy(self) -> None:
        """Who was heard longest ago is first."""
        while True:
            await self._clock.sleep(TIDY_S)
            since_s = self._since_s()
            while self._known and next(iter(self._known.values())).vector.at_s < since_s:
                self._known.popitem(last=False)
            self._tell()
            if self._shelf is not None:
                try:
                    await self._shelf.forget_before(since_s)
                except InyeonError as error:
                    self._meter.failed(error.reason)

    async def _load(self) -> None:
        """With the shelf away, those who are heard again are looked up one by one."""
        self._behind = False
        if self._shelf is None:
            return
        try:
            self._take_over(await self._shelf.newest(MOST_KNOWN, self._since_s()))
        except InyeonError as error:
            self._meter.failed(error.reason)
        self._tell()

    async def _catch_up(self, users: tuple[str, ...]) -> None:
        """Another replica may have heard them since."""
        if self._shelf is None:
            return
        try:
            self._take_over(await self._shelf.of(users))
        except InyeonError as error:
            self._meter.failed(error.reason)

    def _take_over(self, vectors: Mapping[str, SessionVector]) -> None:
        for user_id, vector in vectors.items():
            known = self._known.get(user_id)
            if known is None or known.vector.at_s < vector.at_s:
                self._keep(user_id, vector)

    def _put_back(self, error: BaseException) -> None:
        asked, self._asked = self._asked, {}
        for user_id, talks in asked.items():
            self._shed(self._waiting.put_back(user_id, talks))
        if isinstance(error, InyeonError):
            self._meter.failed(error.reason)

    def _shed(self, count: int) -> None:
        if count:
            self._meter.talks("shed", count)

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

    async def _learn(self, space: Space, states: Mapping[str, SessionState]) -> None:
        now_s, learned = self._clock.now().timestamp(), dict[str, SessionVector]()
        for user_id, state in states.items():
            talks = self._asked.pop(user_id, None)
            if talks is None:  # erased meanwhile
                continue
            sums = (state.total, state.counted, state.talks, state.logs, state.at_s)
            learned[user_id] = SessionVector(space, *sums)
            self._keep(user_id, learned[user_id])
            self._meter.talks("encoded", len(talks))
            for talk in talks:
                self._meter.lag(max(now_s - talk.ended_s, 0.0))
        if self._shelf is None:
            return
        try:
            await self._shelf.keep(learned)
        except InyeonError as error:  # it is known here, and kept with the next talk
            self._meter.failed(error.reason)

    def _keep(self, user_id: str, vector: SessionVector) -> None:
        self._known[user_id] = _Known(vector, recent_of(vector))
        self._known.move_to_end(user_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _recent(self, user_id: str, since_s: float) -> Recent | None:
        known = self._known.get(user_id)
        return None if known is None or known.vector.at_s < since_s else known.recent

    def _since_s(self) -> float:
        return self._clock.now().timestamp() - HORIZON_S

    def _tell(self) -> None:
        self._meter.state(len(self._known), len(self._waiting))
        if self._waiting or self._behind:
            self._some.set()
        else:
            self._some.clear()
