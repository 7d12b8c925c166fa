"""Lines of stdin, handed to the loop. A thread reads, since stdin may be a pipe, a file or a
terminal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import BinaryIO

from inyeon_edge.agent.commands import LINE_LIMIT_BYTES

AHEAD = 64  # lines read and not yet handled; then the writer waits


class LineReader:
    """Reads until the end; `taken` and `ended` are called in the loop's thread."""

    def __init__(
        self,
        stream: BinaryIO,
        loop: asyncio.AbstractEventLoop,
        taken: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._stream, self._loop = stream, loop
        self._taken, self._ended = taken, ended
        self._room = threading.BoundedSemaphore(AHEAD)

    def start(self) -> None:
        """Starts the thread; it ends with the stream or, being a daemon, with the process."""
        threading.Thread(target=self._run, name="commands", daemon=True).start()

    def _run(self) -> None:
        try:
            while line := self._stream.readline(LINE_LIMIT_BYTES + 1):
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._take, line)
            self._loop.call_soon_threadsafe(self._ended)
        except (RuntimeError, ValueError, OSError):
            return  # the loop or the stream was closed: the agent ends anyway

    def _take(self, line: bytes) -> None:
        self._room.release()
        text = line.decode("utf-8", "surrogateescape").strip()
        if text:
            self._taken(text)
