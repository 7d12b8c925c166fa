"""The gateway's signalling in memory: the twin of `signalling.GrpcSignalling`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from inyeon_edge.call.signalling import Heard, PartnerGone, PartnerHere, Signal
from inyeon_edge.errors import UplinkError
from inyeon_edge.uplink.facts import Statement


@dataclass(slots=True)
class SignallingTwin:
    """One side of a match; `pair` makes two that hear each other."""

    partner: SignallingTwin | None = None
    link: TwinLink | None = None
    grants: list[Statement] = field(default_factory=list)
    refuse_with: UplinkError | None = None

    @classmethod
    def pair(cls) -> tuple[SignallingTwin, SignallingTwin]:
        """Two sides of one match."""
        one, other = cls(), cls()
        one.partner, other.partner = other, one
        return one, other

    async def open(self, match_id: str, grant: Statement) -> TwinLink:
        if self.refuse_with is not None:
            raise self.refuse_with
        self.grants.append(grant)
        self.link = TwinLink(self)
        if self.partner is not None and self.partner.link is not None:
            self.partner.link.put(PartnerHere())
            self.link.put(PartnerHere())
        return self.link


class TwinLink:
    """One connection."""

    def __init__(self, side: SignallingTwin) -> None:
        self._side = side
        self._heard: asyncio.Queue[Heard | UplinkError | None] = asyncio.Queue()

    async def send(self, kind: str, body: str = "") -> None:
        partner = self._side.partner
        if partner is not None and partner.link is not None:
            partner.link.put(Signal(kind, body))
        else:
            self.put(PartnerGone())

    async def renew(self, grant: Statement) -> None:
        self._side.grants.append(grant)

    async def hear(self) -> Heard | None:
        heard = await self._heard.get()
        if isinstance(heard, UplinkError):
            raise heard
        return heard

    def put(self, heard: Heard | UplinkError | None) -> None:
        """Something arrives."""
        self._heard.put_nowait(heard)

    def close(self) -> None:
        if self._side.link is self:
            self._side.link = None
            if self._side.partner is not None and self._side.partner.link is not None:
                self._side.partner.link.put(PartnerGone())
