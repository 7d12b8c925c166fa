"""What the device needs of its picture, its partner's picture and its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from inyeon_edge.call.frames import MediaCounts
from inyeon_edge.frame import Image
from inyeon_edge.uplink.facts import Matched, Statement

Show = Callable[[Image], None]


class Picture(Protocol):
    """My own picture, from capture to outputs, in a thread of its own."""

    def start(self) -> None:
        """Begins; from now on the device is told what is seen."""
        ...

    def stop(self) -> None:
        """Ends, within a second; may be called more than once."""
        ...

    def cover(self, on: bool) -> None:
        """Covers by order of the platform, from the next frame on."""
        ...

    def switch(self, source: str) -> None:
        """Shows another source. Raises SourceError and goes on with the old one."""
        ...

    def figures(self) -> dict[str, float]:
        """frames, dropped, segment_ms."""
        ...


class PartnerPicture(Protocol):
    """What arrives from the partner: the receiver's check and the preview, in a thread of its
    own."""

    def begin(self, match_id: str, counts: MediaCounts) -> None:
        """A call begins; pictures that the check has looked at are counted as filtered."""
        ...

    def show(self, image: Image) -> None:
        """The newest decoded picture; never blocks."""
        ...

    def cover(self, on: bool) -> None:
        """Covers the partner's side in what the person sees."""
        ...

    def end(self, match_id: str) -> None:
        """The call of this match is over; a later one goes on."""
        ...

    def stop(self) -> None:
        """The agent ends."""
        ...


class CallHandle(Protocol):
    """One call, as a meeting holds it."""

    @property
    def counts(self) -> MediaCounts:
        """Frames so far."""
        ...

    async def run(self) -> None:
        """Holds the call. Raises CallFailed."""
        ...

    def hang_up(self) -> None:
        """Ends it."""
        ...

    async def renew(self, grant: Statement) -> None:
        """Goes on with a newer grant."""
        ...


class Caller(Protocol):
    """Makes calls."""

    async def call(self, matched: Matched, show: Show, told: Callable[[str], None]) -> CallHandle:
        """A call of a match, not yet begun. `told` hears connecting, connected, closed, failed."""
        ...
