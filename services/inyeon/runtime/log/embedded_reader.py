"""Reading the embedded log's file: a small pool of threads, each with a connection of its own.
Readers block nobody."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.embedded_file import OFFSET_BITS, connect, meaning
from inyeon.runtime.log.port import Record

THREADS = 2
READ_DEADLINE_S = (
    10.0  # a read of 1,000 records takes some 5 ms; this long means that the disk hangs
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Want:
    """A partition to read from an offset on."""

    topic: str
    number: int
    partition_id: int
    offset: int


@dataclass(frozen=True, slots=True)
class Held:
    """What upkeep looks at; `value` is empty where there is one, because only its absence
    counts."""

    id: int
    key: str
    value: bytes | None
    published_at: datetime


class FileReader:
    """Reads one file on behalf of one loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"log reader {path.name}")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._closed = False

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a query in the pool. Raises LogUnavailable, LogCorrupt."""
        if self._closed:
            raise LogUnavailable("the log is closed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READ_DEADLINE_S):
                return await loop.run_in_executor(self._pool, self._with_connection, query)
        except sqlite3.Error as error:
            raise meaning(self._path, error) from error
        except TimeoutError as error:
            raise LogUnavailable(f"{self._path}: no answer in {READ_DEADLINE_S} s") from error

    async def close(self) -> None:
        """Closes every connection."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._opened:
            connection.close()

    def _with_connection(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, read_only=True)
            self._local.connection = connection
            self._opened.append(connection)
        return query(connection)


def fetch(connection: sqlite3.Connection, wants: Sequence[Want], limit: int) -> list[Record]:
    """At most `limit` records, partition by partition in the order given."""
    found: list[Record] = []
    for want in wants:
        first = want.partition_id << OFFSET_BITS
        rows = connection.execute(
            "SELECT id, key, value, headers, published_us FROM records"
            " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (first | want.offset, (want.partition_id + 1) << OFFSET_BITS, limit - len(found)),
        )
        found += [
            Record(want.topic, want.number, i - first, key, value, json.loads(headers), _moment(us))
            for i, key, value, headers, us in rows
        ]
        if len(found) >= limit:
            break
    return found


def committed(
    connection: sqlite3.Connection, group: str, ids: Sequence[int]
) -> Mapping[int, int | None]:
    """Committed next offsets by partition id; None where there is none."""
    select = "SELECT next_offset FROM consumer_offsets WHERE consumer_group=? AND partition_id=?"
    rows = {i: connection.execute(select, (group, i)).fetchone() for i in ids}
    return {i: None if row is None else int(row[0]) for i, row in rows.items()}


def offset_at(connection: sqlite3.Connection, partition_id: int, moment: datetime) -> int | None:
    """Offset of the first record published at or after a moment; None when all are older."""
    first = partition_id << OFFSET_BITS
    row = connection.execute(
        "SELECT min(id) FROM records WHERE id >= ? AND id < ? AND published_us >= ?",
        (first, (partition_id + 1) << OFFSET_BITS, round(moment.timestamp() * 1e6)),
    ).fetchone()
    return None if row[0] is None else int(row[0]) - first


def held(
    connection: sqlite3.Connection, partition_id: int, after_id: int, limit: int
) -> list[Held]:
    """Records of a partition after a row id, without their values."""
    first = partition_id << OFFSET_BITS
    rows = connection.execute(
        "SELECT id, key, value IS NULL, published_us FROM records"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (max(first, after_id + 1), (partition_id + 1) << OFFSET_BITS, limit),
    )
    return [Held(i, key, None if gone else b"", _moment(us)) for i, key, gone, us in rows]


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
