"""The one thread that writes the embedded log. It takes everything that is waiting into one
transaction (group commit).

While one transaction is being fsynced the next jobs gather, so a thousand publishers share a few
fsyncs, and a lonely one waits for none but its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from inyeon.runtime.errors import InyeonError, LogUnavailable
from inyeon.runtime.log.embedded_file import connect, meaning

# One transaction: 1,024 jobs keep a commit in the tens of milliseconds even when each is a batch of
# its own.
JOBS_AT_ONCE = 1_024

T = TypeVar("T")


class Pages:
    """What a job sees of the file within the transaction: the connection and the next offset of
    every partition."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.next_offsets: dict[int, int] = {}
        self.grown: dict[int, int] = {}
        self._data_version = -1

    def begin(self) -> None:
        """Takes the write lock; forgets offsets when another process has written."""
        self.connection.execute("BEGIN IMMEDIATE")
        found = self.connection.execute("PRAGMA data_version").fetchone()[0]
        if found != self._data_version:
            self._data_version = found
            self.next_offsets.clear()
        self.grown.clear()

    def next_offset(self, partition_id: int) -> int:
        """Offset that the next record of a partition gets."""
        if partition_id not in self.next_offsets:
            select = "SELECT next_offset FROM partitions WHERE id=?"
            self.next_offsets[partition_id] = self.connection.execute(
                select, (partition_id,)
            ).fetchone()[0]
        return self.next_offsets[partition_id]

    def grow(self, partition_id: int, next_offset: int) -> None:
        """Notes a partition's new end."""
        self.next_offsets[partition_id] = self.grown[partition_id] = next_offset

    def commit(self) -> None:
        """Makes everything durable."""
        ends = [(end, partition_id) for partition_id, end in self.grown.items()]
        self.connection.executemany("UPDATE partitions SET next_offset=? WHERE id=?", ends)
        self.connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undoes everything; what was cached may be wrong."""
        self.next_offsets.clear()
        self.grown.clear()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


class _Job(Generic[T]):
    def __init__(self, apply: Callable[[Pages], T], future: asyncio.Future[T]) -> None:
        self.apply = apply
        self.future = future
        self.result: T | None = None
        self.error: InyeonError | None = None

    def run(self, pages: Pages) -> None:
        try:
            self.result = self.apply(pages)
        except InyeonError as error:  # a job checks before it writes, so the others may go on
            self.error = error

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Writer:
    """Runs jobs of one loop in the writing thread. Build it within the loop."""

    def __init__(self, path: Path, grown: Callable[[Mapping[int, int]], None]) -> None:
        """`grown`: told on the loop, before the futures of its jobs, which partitions have which
        new ends."""
        self._path = path
        self._grown = grown
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job[Any]] = deque()
        self._filled = threading.Condition()  # guards _jobs and _closing
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"log {path.name}", daemon=True)
        self._thread.start()

    def submit(self, apply: Callable[[Pages], T]) -> asyncio.Future[T]:
        """Hands a job over. Its future gets the result when it is on the disk."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._filled:
            if self._closing:
                raise LogUnavailable("the log is closed")
            self._jobs.append(_Job(apply, future))
            self._filled.notify()
        return future

    async def close(self) -> None:
        """Finishes what was handed over, then ends the thread."""
        with self._filled:
            self._closing = True
            self._filled.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        pages: Pages | None = None
        while jobs := self._take():
            grown: Mapping[int, int] = {}
            try:
                pages = pages or Pages(connect(self._path))
                grown = _commit(pages, jobs)
            except (
                Exception
            ) as error:  # the edge of the thread: whatever it is, callers must learn it
                for job in jobs:
                    job.error = meaning(self._path, error)
                pages = _undone(pages)
            with suppress(RuntimeError):  # the loop is gone, and whoever waited with it
                self._loop.call_soon_threadsafe(self._settle, jobs, grown)
        if pages is not None:
            pages.connection.close()

    def _take(self) -> list[_Job[Any]]:
        """Waits for jobs; empty when closing and all are done."""
        with self._filled:
            while not self._jobs and not self._closing:
                self._filled.wait()
            return [self._jobs.popleft() for _ in range(min(len(self._jobs), JOBS_AT_ONCE))]

    def _settle(self, jobs: list[_Job[Any]], grown: Mapping[int, int]) -> None:
        self._grown(grown)
        for job in jobs:
            job.settle()


def _commit(pages: Pages, jobs: list[_Job[Any]]) -> Mapping[int, int]:
    pages.begin()
    for job in jobs:
        job.run(pages)
    grown = dict(pages.grown)
    pages.commit()
    return grown


def _undone(pages: Pages | None) -> Pages | None:
    """The pages after a rollback; None where even that fails, so that the next job connects
    anew."""
    if pages is None:
        return None
    try:
        pages.roll_back()
    except sqlite3.Error:
        pages.connection.close()
        return None
    return pages
