"""My own picture in a thread of its own: capture, vision, outputs, windows. Never blocks the
loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from inyeon_edge.capture.latest import Capture
from inyeon_edge.capture.switchable import SwitchableSource
from inyeon_edge.errors import SourceError
from inyeon_edge.frame import Frame, Image, fit
from inyeon_edge.uplink.window import Sample, WindowBuilder
from inyeon_edge.vision.pipeline import VisionPipeline
from inyeon_edge.vision.results import Presence, ViewResult
from inyeon_protos.moderation.v1.safety_pb2 import ObservationWindow

BLURRED_FRAMES = 30
SMOOTHING = 0.05  # of the mean segment time: the last 20 frames
NEXT_S = 0.5  # so often the thread looks whether it must stop
STALE_AFTER = 4  # 4 x 0.5 s without a frame is "no picture", as capture itself says
CALLER = "CALLER"

Post = Callable[..., object]
"""Hands a call to the loop's thread, in order."""


class Show(Protocol):
    """Takes my picture as sent. Called from the picture thread."""

    def show(self, image: Image, at_s: float) -> None:
        """(H, W, 3) uint8 RGB after effects; `at_s` is monotonic. Never raises."""
        ...


class Watcher(Protocol):
    """Who is told what is seen; the device. Called in the loop's thread."""

    def saw_window(self, window: ObservationWindow) -> None: ...
    def saw_presence(self, presence: Presence) -> None: ...
    def covered_locally(self, on: bool, reason: str) -> None: ...
    def blurred(self, frames: int) -> None: ...
    def source_failed(self, error: SourceError, at_start: bool) -> None: ...


@dataclass(slots=True)
class Figures:
    """Counts of the picture thread; read by the loop, where an old value does no harm."""

    frames: int = 0
    blurred: int = 0
    segment_ms: float = 0.0
    total_ms: float = 0.0


class PictureThread:
    """Runs the picture. `start`, `cover`, `switch`, `figures` and `stop` come from the loop."""

    def __init__(
        self,
        open_switchable: Callable[[str], SwitchableSource],
        source: str,
        pipeline: VisionPipeline,
        screen: Show,
        windows: WindowBuilder,
        size: tuple[int, int],
        watcher: Watcher,
        post: Post,
    ) -> None:
        """Opens the source. Raises SourceError where it cannot be opened."""
        self._open, self._spec = open_switchable, source
        self._source: SwitchableSource | None = open_switchable(source)
        self._playing = self._source
        self._capture = Capture(self._next_source)
        self._pipeline, self._screen, self._windows = pipeline, screen, windows
        self._size, self._watcher, self._post = size, watcher, post
        self._covered = False
        self._presence = Presence.UNKNOWN
        self._local_reason = ""
        self._problem = ""
        self._silent = 0
        self._figures = Figures()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="picture", daemon=True)

    def start(self) -> None:
        self._capture.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._capture.close()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def cover(self, on: bool) -> None:
        self._covered = on

    def switch(self, source: str) -> None:
        self._playing.switch_to(source)
        self._spec = source

    def figures(self) -> dict[str, float]:
        now = self._figures
        return {
            "frames": now.frames,
            "dropped": self._capture.dropped,
            "segment_ms": round(now.segment_ms, 2),
            "total_ms": round(now.total_ms, 2),
        }

    def _next_source(self) -> SwitchableSource:
        """The source opened at first, afterwards the same one anew. In the capture thread."""
        first, self._source = self._source, None
        self._playing = first or self._open(self._spec)
        return self._playing

    def _run(self) -> None:
        while not self._stop.is_set():
            frame = self._capture.next(NEXT_S)
            if frame is not None:
                self._silent = 0
                self._see(frame)
            elif not self._stop.is_set():
                if self._capture.ended:
                    self._stop.wait(NEXT_S)
                self._see_nothing()

    def _see(self, frame: Frame) -> None:
        fitted = Frame(fit(frame.image, *self._size), frame.index, frame.captured_s)
        view = self._pipeline.process(fitted, self._covered)
        self._screen.show(view.image, view.captured_s)
        self._count(view)
        self._tell(view.presence, "" if view.cover_reason == CALLER else view.cover_reason)
        self._finish(self._windows.add(Sample.of_view(view)))

    def _see_nothing(self) -> None:
        problem = self._capture.problem
        if problem is not None and str(problem) != self._problem:
            self._problem = str(problem)
            self._post(self._watcher.source_failed, problem, self._figures.frames == 0)
        self._silent += 1
        if self._silent >= STALE_AFTER:
            self._tell(self._pipeline.no_picture(), self._local_reason)
            self._finish(self._windows.nothing_seen())

    def _tell(self, presence: Presence, local_reason: str) -> None:
        if presence is not self._presence:
            self._presence = presence
            self._post(self._watcher.saw_presence, presence)
        if bool(local_reason) != bool(self._local_reason):
            self._post(self._watcher.covered_locally, bool(local_reason), local_reason)
        self._local_reason = local_reason

    def _finish(self, window: ObservationWindow | None) -> None:
        if window is not None:
            self._post(self._watcher.saw_window, window)

    def _count(self, view: ViewResult) -> None:
        figures = self._figures
        figures.frames += 1
        figures.blurred += view.blurred
        share = SMOOTHING if figures.frames > 1 else 1.0
        figures.segment_ms += share * (view.timings_ms.get("segment", 0.0) - figures.segment_ms)
        figures.total_ms += share * (view.timings_ms.get("total", 0.0) - figures.total_ms)
        if view.blurred and figures.blurred == BLURRED_FRAMES:
            self._post(self._watcher.blurred, BLURRED_FRAMES)
