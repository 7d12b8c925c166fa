"""Lines of stdin, handed to the loop. A thread reads, since stdin may be a pipe, a file or a
terminal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

from inyeon_edge.agent.commands import LINE_LIMIT_BYTES

AHEAD = 64  # lines read and not yet handled; then the writer waits
CHUNK_BYTES = 16_384

Read = Callable[[int], bytes]
"""Gives up to so many bytes as soon as there are any; none at the end."""


class LineReader:
    """Reads until the end; `taken` and `ended` are called in the loop's thread.

    `read` must hold no lock while it waits: a daemon thread that dies inside sys.stdin's buffer
    aborts the interpreter at its end. Hence os.read on the descriptor.
    """

    def __init__(
        self,
        read: Read,
        loop: asyncio.AbstractEventLoop,
        taken: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._read, self._loop = read, loop
        self._taken, self._ended = taken, ended
        self._room = threading.BoundedSemaphore(AHEAD)

    def start(self) -> None:
        """Starts the thread; it ends with the stream or, being a daemon, with the process."""
        threading.Thread(target=self._run, name="commands", daemon=True).start()

    def _run(self) -> None:
        try:
            for line in split_lines(self._read):
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._take, line)
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:
            return  # the loop was closed: the agent ends anyway

    def _take(self, line: bytes) -> None:
        self._room.release()
        text = line.decode("utf-8", "surrogateescape").strip()
        if text:
            self._taken(text)


def split_lines(read: Read) -> Iterator[bytes]:
    """Lines without their ends, the last one too; of an overlong one only its first
    LINE_LIMIT_BYTES + 1 bytes, so that it can be refused."""
    rest = b""
    while chunk := _read_or_end(read):
        *lines, tail = (rest + chunk).split(b"\n")
        for line in lines:
            yield line[: LINE_LIMIT_BYTES + 1]
        rest = tail[: LINE_LIMIT_BYTES + 1]
    if rest:
        yield rest


def _read_or_end(read: Read) -> bytes:
    try:
        return read(CHUNK_BYTES)
    except OSError:
        return b""  # a terminal that went away is an end
