"""What the writing thread does to the file, one function for each kind of job. Each checks before
it writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogFenced
from inyeon.runtime.log.embedded_file import OFFSET_BITS
from inyeon.runtime.log.embedded_writer import Pages
from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.upkeep import check_same_partitions


@dataclass(frozen=True, slots=True)
class Row:
    """A record on its way into the file."""

    partition_id: int
    key: str
    value: bytes | None
    headers: str


def append(pages: Pages, rows: Sequence[Row], clock: Clock) -> list[int]:
    """Appends in order; returns the offsets."""
    now_us = round(clock.now().timestamp() * 1e6)
    offsets, values = [], []
    for row in rows:
        offset = pages.next_offset(row.partition_id)
        pages.grow(row.partition_id, offset + 1)
        offsets.append(offset)
        row_id = row.partition_id << OFFSET_BITS | offset
        values.append((row_id, row.key, row.value, row.headers, now_us))
    pages.connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", values)
    return offsets


def create_topics(pages: Pages, specs: Sequence[TopicSpec]) -> None:
    """Adds missing topics and takes over how existing ones are kept. Raises TopicMismatch."""
    existing = {spec.name: spec for spec in read_topics(pages.connection)}
    for spec in specs:
        check_same_partitions(existing.get(spec.name), spec)
    for spec in specs:
        retention_s = None if spec.retention is None else spec.retention.total_seconds()
        pages.connection.execute(
            "INSERT INTO topics VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " retention_s=excluded.retention_s, compacted=excluded.compacted",
            (spec.name, spec.partitions, retention_s, spec.compacted),
        )
        numbers = [(spec.name, number) for number in range(spec.partitions)]
        pages.connection.executemany(
            "INSERT INTO partitions (topic, number, next_offset) VALUES (?, ?, 0)"
            " ON CONFLICT DO NOTHING",
            numbers,
        )


def read_topics(connection: sqlite3.Connection) -> list[TopicSpec]:
    """Every topic of the file."""
    rows = connection.execute("SELECT name, partitions, retention_s, compacted FROM topics")
    return [
        TopicSpec(name, partitions, None if s is None else timedelta(seconds=s), bool(compacted))
        for name, partitions, s, compacted in rows
    ]


def open_group(pages: Pages, group: str) -> int:
    """Takes a group for this process: the epoch of whoever had it is over."""
    row = pages.connection.execute(
        "INSERT INTO consumer_groups VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch=epoch+1"
        " RETURNING epoch",
        (group,),
    ).fetchone()
    return int(row[0])


def save_offsets(pages: Pages, group: str, epoch: int, offsets: Mapping[int, int]) -> None:
    """Keeps next offsets by partition id. Raises LogFenced when another process has the group."""
    row = pages.connection.execute(
        "SELECT epoch FROM consumer_groups WHERE name=?", (group,)
    ).fetchone()
    if row is None or row[0] != epoch:
        raise LogFenced(f"{group}: another process has taken the group")
    pages.connection.executemany(
        "INSERT INTO consumer_offsets VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET next_offset=excluded.next_offset",
        [(group, partition_id, offset) for partition_id, offset in offsets.items()],
    )


def delete_records(pages: Pages, ids: Sequence[int]) -> None:
    """Removes records; their offsets are never used again."""
    pages.connection.executemany("DELETE FROM records WHERE id=?", [(i,) for i in ids])


def give_back_room(pages: Pages, most: int) -> int:
    """Returns up to `most` free pages to the disk; how many it was."""
    free = int(pages.connection.execute("PRAGMA freelist_count").fetchone()[0])
    count = min(free, most)
    for _ in range(
        count
    ):  # Python's sqlite3 frees one page for each call, whatever it is asked for
        pages.connection.execute("PRAGMA incremental_vacuum(1)")
    return count
