"""The bounded hand-over from a client's thread to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from inyeon.runtime.log.assigning import TopicPartition
from inyeon.runtime.log.port import Record

# Two batches of the runner wait while it works on a third; of records of full size, 64.
MOST_RECORDS = 1_024
MOST_BYTES = 16 * 1024 * 1024


class HandOver:
    """Records between one thread and one task. `put`, `full`, `wait_for_room` and `drop` belong to
    the thread, the rest to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room = threading.Condition()  # guards everything below
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._news = False
        self._listening = False
        self._told = asyncio.Event()

    def put(self, records: Sequence[Record]) -> None:
        """Never waits: ask `full` before fetching more."""
        with self._room:
            self._records.extend(records)
            self._bytes += _size(records)
        self.wake()

    def full(self) -> bool:
        """Nothing more should be fetched now."""
        with self._room:
            return self._is_full()

    def wait_for_room(self, timeout_s: float) -> bool:
        """True as soon as there is room; False after `timeout_s` or `nudge` without."""
        with self._room:
            if self._is_full():
                self._room.wait(timeout_s)
            return not self._is_full()

    def drop(self, places: Collection[TopicPartition] | None = None) -> None:
        """Forgets what was not taken: of these partitions, or everything."""
        with self._room:
            kept = (
                ()
                if places is None
                else tuple(r for r in self._records if (r.topic, r.partition) not in places)
            )
            self._records = deque(kept)
            self._bytes = _size(kept)
            self._room.notify_all()

    def waiting(self) -> Mapping[str, int]:
        """Records not taken yet, by topic."""
        with self._room:
            return Counter(record.topic for record in self._records)

    def nudge(self) -> None:
        """Ends a wait of the thread."""
        with self._room:
            self._room.notify_all()

    def wake(self) -> None:
        """Ends a wait of the task, or the next one. Any thread may call it."""
        with self._room:
            self._news = True
            listening, self._listening = self._listening, False
        if listening:
            with suppress(RuntimeError):  # the loop has ended, nobody waits any more
                self._loop.call_soon_threadsafe(self._told.set)

    def take(self, most: int) -> list[Record]:
        """At most `most` records, oldest first."""
        with self._room:
            was_full = self._is_full()
            if most >= len(self._records):
                taken = list(self._records)
                self._records.clear()
                self._bytes = 0
            else:
                taken = [self._records.popleft() for _ in range(most)]
                self._bytes -= _size(taken)
            if was_full:
                self._room.notify_all()
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Returns when somebody woke it since the last wait, or after `timeout_s`."""
        with self._room:
            news, self._news = self._news, False
            self._listening = not news
            self._told.clear()
        if news:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._told.wait()

    def _is_full(self) -> bool:
        return len(self._records) >= MOST_RECORDS or self._bytes >= MOST_BYTES


def _size(records: Sequence[Record]) -> int:
    """Bytes of the values: keys and headers are small beside them, or there are few records."""
    return sum(len(record.value) for record in records if record.value is not None)
