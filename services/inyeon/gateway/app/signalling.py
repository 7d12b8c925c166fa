"""Signalling: carries a call's set-up between the two people of a live match.

The two sides find each other by notices: whoever connects tells the partner, who answers once. So
it does not matter who comes first, nor whether both come at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from inyeon.gateway.domain.calls import CallRight, CallSide
from inyeon.gateway.errors import CallRefused
from inyeon.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class PartnerIsHere:
    """The partner's device is connected."""

    match_id: str


@dataclass(frozen=True, slots=True)
class PartnerIsGone:
    """The partner's device is away or the match is over."""

    match_id: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Relayed:
    """A signal of the partner; `body` is SDP or a candidate, `kind` the contract's number."""

    match_id: str
    kind: int
    body: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Between the two sides: somebody connected."""

    match_id: str
    epoch: int
    is_reply: bool


Heard = PartnerIsHere | PartnerIsGone | Relayed
Handed = Notice | Relayed | PartnerIsGone


class Carrier(Protocol):
    """Hands something to the partner's side, wherever it is."""

    async def hand(self, user_id: str, what: Handed) -> bool:
        """False when no side of that user is connected or it refused."""
        ...


@dataclass(slots=True, eq=False)
class SignallingSide:
    """One connected device. Owned by the task of its stream."""

    side: CallSide
    carrier: Carrier
    clock: Clock
    queue: asyncio.Queue[Heard | Notice | None]

    @property
    def partner(self) -> str:
        """The other person."""
        return self.side.right.partner_id

    @property
    def match_id(self) -> str:
        """The match."""
        return self.side.right.match_id

    async def arrive(self) -> None:
        """Tells the partner that this device is here."""
        await self._hand_notice(is_reply=False)

    async def leave(self) -> None:
        """Tells the partner that this device went away."""
        await self.carrier.hand(self.partner, PartnerIsGone(self.match_id))

    async def say(self, signal: Relayed) -> None:
        """Relays a signal; an absent partner is told as gone. Raises CallRefused: MATCH_FOREIGN."""
        if signal.match_id != self.match_id:
            raise CallRefused(
                "the signal names another match", reason="MATCH_FOREIGN", field="signal.match_id"
            )
        if not await self.carrier.hand(self.partner, signal):
            self._put(PartnerIsGone(self.match_id))

    def renew(self, right: CallRight) -> None:
        """Goes on with a newer grant. Raises CallRefused for a grant of another call."""
        if not self.side.renew(right):
            raise CallRefused("the grant is of another call", field="renewed_grant")

    def take(self, what: Handed) -> bool:
        """Something from the partner's side; False when it is not for this call or nobody reads."""
        return what.match_id == self.match_id and self._put(what)

    async def heard(self) -> AsyncIterator[Heard]:
        """What the device hears, until the call is over or its right has ended.

        Raises CallRefused (GRANT_EXPIRED) when no newer grant came in time.
        """
        while True:
            what = await self._next()
            if isinstance(what, Notice):
                if not what.is_reply:
                    await self._hand_notice(is_reply=True)
                if self.side.notice(what.match_id, what.epoch):
                    yield PartnerIsHere(what.match_id)
            elif what is not None:
                yield what
            if what is None or (isinstance(what, PartnerIsGone) and what.final):
                return

    def stop(self) -> None:
        """Ends what the device hears; what was not heard yet is dropped."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)

    async def _next(self) -> Heard | Notice | None:
        while True:
            left_s = self.side.remaining_s(self.clock.now())
            try:
                # One second more than the right has left: a renewal may be in the device's hands.
                return await asyncio.wait_for(self.queue.get(), left_s + 1.0)
            except TimeoutError:
                if self.side.remaining_s(self.clock.now()) <= 0:
                    raise CallRefused("the grant has ended", reason="GRANT_EXPIRED") from None

    async def _hand_notice(self, *, is_reply: bool) -> None:
        notice = Notice(self.match_id, self.side.epoch, is_reply)
        await self.carrier.hand(self.partner, notice)

    def _put(self, what: Heard | Notice) -> bool:
        if self.queue.full():
            return False
        self.queue.put_nowait(what)
        return True
