"""Observe: opens a session, takes windows in, moves the verdict and tells whom it concerns."""

from __future__ import annotations

import asyncio
import uuid

from inyeon.moderation.app.commit import GroupCommit
from inyeon.moderation.app.live import LiveSession, LiveSessions
from inyeon.moderation.app.ports import Device, Ledger, LiveMatch, Meter, Moved, Neighbours, Raised
from inyeon.moderation.app.telling import Telling
from inyeon.moderation.domain.observation import Embedding, Subject, Window
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.snapshot import resume
from inyeon.moderation.domain.verdict import NOTHING, Escalation, Transition, Verdict
from inyeon.moderation.errors import WindowRefused
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InyeonError, Overloaded

MATCH_KNOWN_S = 2.0  # a match read from the store counts so long for partner windows, one a second
TELL_S = 1.0  # the partner is told within a second or by the next open; the own device never waits


class Observe:
    """The use case behind the Observe stream. One instance, one loop."""

    def __init__(
        self,
        sessions: LiveSessions,
        ledger: Ledger,
        commit: GroupCommit,
        telling: Telling,
        neighbours: Neighbours,
        policy: Policy,
        clock: Clock,
        meter: Meter,
        *,
        max_sessions: int,
    ) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._commit = commit
        self._telling = telling
        self._neighbours = neighbours
        self._policy = policy
        self._clock = clock
        self._meter = meter
        self._max_sessions = max_sessions

    async def open(
        self, user_id: str, session_id: str, epoch: int, device_key: str, device: Device
    ) -> LiveSession:
        """Starts from the last committed snapshot and the user's verdict, then tells what stands.

        Raises Overloaded at the limit of sessions, StoreUnavailable.
        """
        if len(self._sessions) >= self._max_sessions and self._sessions.of(user_id) is None:
            raise Overloaded("this replica holds as many observation sessions as it may")
        saved = await self._ledger.snapshot(session_id, user_id)
        stored = await self._ledger.stored_verdict(user_id)
        verdict, reason = (stored.verdict, stored.reason) if stored else (Verdict.UNKNOWN, "")
        machine = resume(self._policy, saved, verdict, reason)
        live = LiveSession(user_id, session_id, epoch, device_key, machine, device)
        self._sessions.hold(live)
        await self._telling.standing(live, await self._match(live))
        return live

    def close(self, live: LiveSession) -> None:
        """The stream is gone. What it took in is still committed."""
        self._sessions.release(live)

    async def window(self, live: LiveSession, sequence: int, window: Window) -> None:
        """Takes one window in. Raises WindowRefused where its embedding is of another space."""
        self._check_space(live, window.embedding)
        live.through = sequence
        if window.subject is Subject.PARTNER:
            await self._about_partner(live, window)
            self._commit.note(live)
            return
        self._meter.window("own")
        step = live.machine.observe(window, self._clock.monotonic())
        if step.escalation:
            self._raise(live, step.escalation, window)
        if step.transition:
            await self.move(live, step.transition, window.embedding)
        self._commit.note(live, at_once=step is not NOTHING)

    def corroborate(self, user_id: str, window: Window) -> bool:
        """Takes in what the partner's device saw of a person whose stream is here; False where it
        is not."""
        live = self._sessions.of(user_id)
        if live is None:
            return False
        escalation = live.machine.corroborate(window, self._clock.monotonic())
        if escalation:
            self._raise(live, escalation, window)
            self._commit.note(live, at_once=True)
        return True

    def direct(self, user_id: str) -> Device | None:
        """The user's device, where its stream is here."""
        live = self._sessions.of(user_id)
        return live.device if live else None

    async def dismissed(self, user_id: str) -> None:
        """A reviewer reset the user's verdict: the machine and both devices follow, the store
        already has it."""
        live = self._sessions.of(user_id)
        if live is None or live.machine.verdict is not Verdict.PROTECT:
            return
        moved = live.machine.dismiss()
        self._meter.moved(moved)
        match = await self._match(live)
        self._telling.own(live, moved, match.match_id if match else "")
        await self._telling.partner(user_id, moved, match)
        self._commit.note(live, at_once=True)

    async def move(
        self, live: LiveSession, moved: Transition, embedding: Embedding | None = None
    ) -> None:
        """The session's verdict moved, by a window or by a second opinion: the own device is told
        at once, the store with the next commit, the partner within a second."""
        self._meter.moved(moved)
        known = live.match.match_id if live.match else ""
        live.moved.append(Moved(moved, self._clock.now(), known, embedding))
        self._telling.own(live, moved, known)
        self._commit.note(live, at_once=True)
        try:
            async with asyncio.timeout(TELL_S):
                match = await self._match(live, fresh=True)
                await self._telling.partner(live.user_id, moved, match)
        except (InyeonError, TimeoutError):
            # The verdict's own event and the standing directives reach the partner later.
            self._meter.window("partner_untold")

    def _raise(self, live: LiveSession, escalation: Escalation, window: Window) -> None:
        match_id = live.match.match_id if live.match else ""
        version, now = live.machine.policy.version, self._clock.now()
        raised = Raised(escalation, window, now, uuid.uuid4().hex, match_id, version)
        live.raised.append(raised)
        live.machine.escalated(raised.escalation_id)

    async def _about_partner(self, live: LiveSession, window: Window) -> None:
        match = await self._match(live)
        if match is None or match.match_id != window.match_id:
            self._meter.window("foreign")
            return
        self._meter.window("partner")
        if not self.corroborate(match.partner_id, window):
            await self._neighbours.corroborate(match.partner_id, window)

    async def _match(self, live: LiveSession, *, fresh: bool = False) -> LiveMatch | None:
        now_s = self._clock.monotonic()
        if fresh or now_s - live.match_read_s > MATCH_KNOWN_S:
            live.match = await self._ledger.match_of(live.user_id)
            live.match_read_s = now_s
        return live.match

    def _check_space(self, live: LiveSession, embedding: Embedding | None) -> None:
        if embedding is None:
            return
        if live.space is None:
            live.space = embedding.space
        elif live.space != embedding.space:
            raise WindowRefused(
                f"this session's embeddings are of {live.space}, not {embedding.space}",
                reason="EMBEDDING_SPACE_MIXED",
                field="window.embedding.space",
            )
