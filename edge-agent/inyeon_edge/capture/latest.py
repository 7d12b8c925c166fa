"""The capture thread: reads a source, keeps only the newest frame, reopens what vanished."""

from __future__ import annotations

import threading
from collections.abc import Callable

from inyeon_edge.capture.source import Source
from inyeon_edge.errors import SourceError
from inyeon_edge.frame import Frame

RETRY_S = 1.0  # a camera that is plugged in again is there within a second or two
STALE_S = 2.0  # no frame for so long is "no picture": 30 frames at 15 fps, two at 1 fps


class Capture:
    """Runs a source on its own thread. The newest frame wins; older ones are dropped and counted.

    `opener` is called anew after the source ended in an error, every RETRY_S, for ever.
    """

    def __init__(
        self, opener: Callable[[], Source], retry_s: float = RETRY_S, stale_s: float = STALE_S
    ) -> None:
        self._opener = opener
        self._retry_s, self._stale_s = retry_s, stale_s
        self._ready = threading.Condition()  # guards the five below
        self._newest: Frame | None = None
        self._source: Source | None = None
        self._ended = False
        self._count = 0
        self._problem: SourceError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.dropped = 0
        """Frames that nobody took because newer ones came."""

    def start(self) -> None:
        """Starts reading."""
        self._thread.start()

    def next(self, timeout_s: float | None = None) -> Frame | None:
        """The newest frame not given yet; None where none came in time (no picture) or ever will.

        Waits at most `timeout_s`, or the staleness limit of 2 s. Never hangs.
        """
        limit_s = self._stale_s if timeout_s is None else timeout_s
        with self._ready:
            self._ready.wait_for(lambda: self._newest is not None or self._ended, limit_s)
            frame, self._newest = self._newest, None
            return frame

    @property
    def ended(self) -> bool:
        """The source came to its end by itself, or `close` was called; no frame will follow."""
        with self._ready:
            return self._ended and self._newest is None

    @property
    def problem(self) -> SourceError | None:
        """Why there is no picture now; None while frames come."""
        with self._ready:
            return self._problem

    def close(self) -> None:
        """Stops the thread and the source; returns within 2 s."""
        self._stop.set()
        with self._ready:
            source = self._source
        if source is not None:
            source.close()
        if self._thread.is_alive():
            self._thread.join(2.0)  # 0.1 s for the source, one decode of a large frame, ample spare
        self._end()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read(self._opener())
                break  # ended by itself
            except SourceError as error:
                with self._ready:
                    self._problem = error
            self._stop.wait(self._retry_s)
        self._end()

    def _read(self, source: Source) -> None:
        with self._ready:
            self._source = source
        try:
            for frame in source.frames():
                if self._stop.is_set():
                    return
                self._put(frame)
        finally:
            source.close()

    def _put(self, frame: Frame) -> None:
        with self._ready:
            self.dropped += self._newest is not None
            # Counted here, so that the index keeps growing when the source is opened anew.
            self._newest = Frame(frame.image, self._count, frame.captured_s)
            self._count += 1
            self._problem = None
            self._ready.notify_all()

    def _end(self) -> None:
        with self._ready:
            self._ended = True
            self._ready.notify_all()
