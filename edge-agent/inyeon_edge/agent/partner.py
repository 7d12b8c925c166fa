"""The partner's picture in a thread of its own: the receiver's check, cover, preview, windows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from inyeon_edge.agent.picture import CALLER, Post, Show
from inyeon_edge.call.frames import MediaCounts
from inyeon_edge.frame import Image
from inyeon_edge.uplink.window import Sample, WindowBuilder
from inyeon_edge.vision.incoming import IncomingCheck, IncomingView
from inyeon_edge.vision.results import Presence
from inyeon_protos.moderation.v1.safety_pb2 import ObservationWindow

NEXT_S = 0.5  # so often the thread looks whether it must stop


class Watcher(Protocol):
    """Who is told what arrives; the device. Called in the loop's thread."""

    def saw_window(self, window: ObservationWindow) -> None: ...
    def covered_incoming(self, on: bool, reason: str) -> None: ...


class PartnerThread:
    """Looks at the newest decoded frame. Each call gets a check of its own."""

    def __init__(
        self,
        make_check: Callable[[], IncomingCheck],
        make_windows: Callable[[str], WindowBuilder],
        screen: Show,
        watcher: Watcher,
        post: Post,
    ) -> None:
        self._make_check, self._make_windows = make_check, make_windows
        self._screen, self._watcher, self._post = screen, watcher, post
        self._ready = threading.Condition()  # guards the five below
        self._newest: Image | None = None
        self._match_id = ""
        self._counts = MediaCounts()
        self._covered = False
        self._stop = False
        self._thread: threading.Thread | None = None

    def begin(self, match_id: str, counts: MediaCounts) -> None:
        with self._ready:
            self._match_id, self._counts, self._newest = match_id, counts, None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="partner", daemon=True)
            self._thread.start()

    def show(self, image: Image) -> None:
        with self._ready:
            self._newest = image
            self._ready.notify()

    def cover(self, on: bool) -> None:
        with self._ready:
            self._covered = on

    def end(self, match_id: str) -> None:
        with self._ready:
            if self._match_id == match_id:
                self._match_id, self._newest = "", None

    def stop(self) -> None:
        with self._ready:
            self._stop = True
            self._ready.notify()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        side: _Side | None = None
        while not self._stop:
            with self._ready:
                self._ready.wait_for(lambda: self._newest is not None or self._stop, NEXT_S)
                image, self._newest = self._newest, None
                match_id, counts, covered = self._match_id, self._counts, self._covered
            if side is None or side.match_id != match_id:
                side = self._new_side(match_id, counts)
            if image is not None and match_id:
                self._look(side, image, covered)

    def _new_side(self, match_id: str, counts: MediaCounts) -> _Side:
        return _Side(match_id, counts, self._make_check(), self._make_windows(match_id))

    def _look(self, side: _Side, image: Image, covered: bool) -> None:
        now_s = time.monotonic()
        # No order of the platform stands against it: the quiet time alone uncovers.
        side.check.cover.verdict_clear = not covered
        view = side.check.check(image, now_s, covered)
        side.counts.filtered += view.scored is not None
        self._screen.show(view.image, now_s)
        self._tell(side, view)
        window = side.windows.add(_sample(view))
        if window is not None:
            self._post(self._watcher.saw_window, window)

    def _tell(self, side: _Side, view: IncomingView) -> None:
        reason = "" if view.cover_reason == CALLER else view.cover_reason
        if bool(reason) != bool(side.reason):
            self._post(self._watcher.covered_incoming, bool(reason), reason)
        side.reason = reason


class _Side:
    """What belongs to one call."""

    def __init__(
        self, match_id: str, counts: MediaCounts, check: IncomingCheck, windows: WindowBuilder
    ) -> None:
        self.match_id, self.counts = match_id, counts
        self.check, self.windows = check, windows
        self.reason = ""


def _sample(view: IncomingView) -> Sample:
    """Presence is not looked for on the partner's picture: unknown, and nobody counted."""
    return Sample(False, Presence.UNKNOWN, view.covered, view.scored, view.quality)
