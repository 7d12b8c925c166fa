"""The file of the embedded log: its tables, how it is opened, and how a broken one is told from a
whole one.

A record's row id is `partition id << 40 | offset`, so that one B-tree holds everything in reading
order: appends go to the end of a partition's range, reads are range scans, and no second index has
to be kept. That bounds a file to 2**23 partitions of 2**40 records.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from inyeon.runtime.errors import InyeonError, LogCorrupt, LogUnavailable
from inyeon.runtime.store.sound import fault_of

APPLICATION_ID = 0x494E594C  # "INYL": tells our log from any other SQLite file
SCHEMA_VERSION = 1
OFFSET_BITS = 40
BUSY_WAIT_S = 10.0  # another process writes for milliseconds; its longest upkeep step is below 1 s
# 16 MB of 4 KiB pages before the write-ahead log is folded into the file: rarer and longer fsyncs
# of the file itself.
CHECKPOINT_PAGES = 4_000

_SCHEMA = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_s REAL, compacted INTEGER NOT NULL
) STRICT;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL REFERENCES topics (name), number INTEGER NOT NULL,
    next_offset INTEGER NOT NULL, UNIQUE (topic, number)
) STRICT;
CREATE TABLE records (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB, headers TEXT NOT NULL,
    published_us INTEGER NOT NULL
) STRICT;
CREATE TABLE consumer_groups (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
CREATE TABLE consumer_offsets (
    consumer_group TEXT NOT NULL, partition_id INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, partition_id)
) STRICT, WITHOUT ROWID;
"""


def open_file(path: Path) -> None:
    """Creates the file or checks an existing one. Raises LogCorrupt, LogUnavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fault = fault_of(path) if path.exists() else None
        if fault is not None:
            raise LogCorrupt(f"{path}: {fault}", field="path")
        with closing(connect(path)) as connection:
            _create_or_check(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise meaning(path, error) from error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that may move between threads but is used by one at a time; begins no
    transaction by itself."""
    connection = sqlite3.connect(
        path, timeout=BUSY_WAIT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # a new file only: room can be given back
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # a commit returns when it is on the disk
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
    return connection


def meaning(path: Path, error: Exception) -> InyeonError:
    """Our error for what SQLite or the file system said."""
    said = str(error)
    if "malformed" in said or "not a database" in said:
        return LogCorrupt(f"{path}: {said}", field="path")
    return LogUnavailable(f"{path}: {said}")


def _create_or_check(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    elif application != APPLICATION_ID:
        raise LogCorrupt(f"{path} is a SQLite file, but no log of ours", field="path")
    elif version > SCHEMA_VERSION:
        said = f"{path} has version {version}, this program knows {SCHEMA_VERSION}"
        raise LogCorrupt(said, field="path")
    connection.execute("COMMIT")
