"""Tells devices what a verdict means for them: own device at once, partner's device wherever it is,
the end when due."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass

from inyeon.moderation.app.live import LiveSession, LiveSessions
from inyeon.moderation.app.ports import Ledger, LiveMatch, Meter, Neighbours
from inyeon.moderation.domain.directive import Action, Directive, own_action, partner_actions
from inyeon.moderation.domain.observation import Subject
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import Transition, Verdict
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import StoreUnavailable

LOOK_S = 0.25  # ends are due to a quarter of a second: people notice a half


@dataclass(frozen=True, slots=True)
class _Due:
    at_s: float
    match: LiveMatch
    reason: str


class Telling:
    """Directives never wait for a commit. A directive that reached nobody is not kept: an opening
    stream gets the standing ones, and matching ends the match by the verdict's event."""

    def __init__(
        self,
        sessions: LiveSessions,
        ledger: Ledger,
        neighbours: Neighbours,
        policy: Policy,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._neighbours = neighbours
        self._policy = policy
        self._clock = clock
        self._meter = meter
        self._due: dict[str, _Due] = {}

    def own(self, live: LiveSession, moved: Transition, match_id: str) -> None:
        """Tells the person's own device."""
        if action := own_action(moved):
            self._meter.directed(action)
            live.device.directed(self._order(action, Subject.MYSELF, moved.reason, match_id))
        live.device.told_verdict(moved.after, moved.reason, moved.policy_version, self._clock.now())

    async def partner(self, user_id: str, moved: Transition, match: LiveMatch | None) -> None:
        """Tells the partner's device, and plans or drops the end of the match."""
        if moved.after is not Verdict.PROTECT:
            self._due.pop(user_id, None)
        if match is None:
            return
        for action in partner_actions(moved):
            await self._direct(match.partner_id, action, Subject.PARTNER, moved.reason, match)
        if moved.after is Verdict.PROTECT:
            self._plan_end(user_id, moved.reason, match)

    async def standing(self, live: LiveSession, match: LiveMatch | None) -> None:
        """Tells a stream that opens what holds now: policy, verdict, its own cover and its
        partner's."""
        machine = live.machine
        live.device.told_policy(self._policy)
        live.device.told_verdict(
            machine.verdict, machine.reason, self._policy.version, self._clock.now()
        )
        match_id = match.match_id if match else ""
        if machine.verdict is Verdict.PROTECT:
            order = self._order(Action.PROTECT, Subject.MYSELF, machine.reason, match_id)
            live.device.directed(order)
        if match is None:
            return
        if machine.verdict is Verdict.PROTECT and live.user_id not in self._due:
            self._plan_end(live.user_id, machine.reason, match)
        other = await self._ledger.stored_verdict(match.partner_id)
        if other is not None and other.verdict is Verdict.PROTECT:
            order = self._order(Action.PROTECT, Subject.PARTNER, other.reason, match.match_id)
            live.device.directed(order)

    async def end_due(self) -> None:
        """Ends the matches whose time under PROTECT is over. One that ended meanwhile, or is
        another, is left alone. Raises StoreUnavailable; what was not looked up stays due."""
        now_s = self._clock.monotonic()
        for user_id, due in [item for item in self._due.items() if item[1].at_s <= now_s]:
            match = await self._ledger.match_of(user_id)
            if self._due.get(user_id) is not due:
                continue
            del self._due[user_id]
            if match != due.match:
                continue
            await self._direct(user_id, Action.END, Subject.MYSELF, due.reason, due.match)
            partner_id = due.match.partner_id
            await self._direct(partner_id, Action.END, Subject.PARTNER, due.reason, due.match)

    async def run(self) -> None:
        """Looks for due ends until cancelled. A store that is away is asked again."""
        while True:
            await self._clock.sleep(LOOK_S)
            with suppress(StoreUnavailable):
                await self.end_due()

    def _plan_end(self, user_id: str, reason: str, match: LiveMatch) -> None:
        after_s = self._policy.end_match_after_s
        if after_s is not None:
            self._due[user_id] = _Due(self._clock.monotonic() + after_s, match, reason)

    async def _direct(
        self, user_id: str, action: Action, subject: Subject, reason: str, match: LiveMatch
    ) -> None:
        self._meter.directed(action)
        await self._neighbours.direct(user_id, self._order(action, subject, reason, match.match_id))

    def _order(self, action: Action, subject: Subject, reason: str, match_id: str) -> Directive:
        return Directive(uuid.uuid4().hex, action, subject, reason, match_id, self._policy.version)
