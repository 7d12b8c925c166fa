"""Where the two pictures go: the call, the preview of each, a file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from inyeon_edge.call.frames import OutgoingFrames
from inyeon_edge.errors import OutputError
from inyeon_edge.frame import Image
from inyeon_edge.outputs import Output, PreviewOutput
from inyeon_edge.settings import Settings

NO_PREVIEW = -1


class Screen:
    """Shows one picture everywhere it must go. An output that fails is left out from then on."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = list(outputs)
        self.problem: OutputError | None = None
        """Why an output was left out, the newest."""

    def show(self, image: Image, at_s: float) -> None:
        """(H, W, 3) uint8 RGB after effects; `at_s` is monotonic. Never raises OutputError."""
        for output in tuple(self._outputs):
            try:
                output.show(image, at_s)
            except OutputError as error:
                self.problem = error
                self._outputs.remove(output)

    def close(self) -> None:
        """Finishes files and pages."""
        for output in self._outputs:
            with contextlib.suppress(OutputError):
                output.close()


class Screens:
    """Opens what the settings ask for. Raises OutputError."""

    def __init__(self, settings: Settings) -> None:
        self.frames = OutgoingFrames(settings.width, settings.height)
        mine: list[Output] = [self.frames]
        theirs: list[Output] = []
        self.my_address = self.their_address = ""
        if settings.preview_port != NO_PREVIEW:
            preview = PreviewOutput(settings.preview_port)
            mine.append(preview)
            self.my_address = preview.url
            other = PreviewOutput(0)
            theirs.append(other)
            self.their_address = other.url
        if settings.record is not None:
            # Writing files loads PyAV, which a device without `record` may never need.
            from inyeon_edge.outputs.file import FileOutput

            mine.append(FileOutput(settings.record, float(settings.fps)))
        self.mine, self.theirs = Screen(mine), Screen(theirs)

    def close(self) -> None:
        """Finishes files and pages."""
        self.mine.close()
        self.theirs.close()
