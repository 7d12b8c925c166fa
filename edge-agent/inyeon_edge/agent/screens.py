"""Where the two pictures go: the call, and whoever looks at the preview."""

from __future__ import annotations

from collections.abc import Sequence

from inyeon_edge.agent.picture import Output
from inyeon_edge.call.frames import OutgoingFrames
from inyeon_edge.settings import Settings


class Screens:
    """Opens what the settings ask for. Raises OutputError."""

    def __init__(self, settings: Settings) -> None:
        self.frames = OutgoingFrames(settings.width, settings.height)
        self.mine: Sequence[Output] = (self.frames,)
        self.theirs: Sequence[Output] = ()
        self.address = ""

    def close(self) -> None:
        """Closes files and pages."""
