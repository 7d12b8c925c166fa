"""Is a SQLite file whole? Asked before it is used, because SQLite itself only notices when it meets
the broken page."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from inyeon.runtime.errors import StoreCorrupt, StoreUnavailable

# Reading every page runs at some 500 MB/s here, so this much takes about 0.1 s of a start that may
# take 3 s.
FULL_CHECK_LIMIT_BYTES = 64 * 1024 * 1024
SMALLEST_BYTES = 512  # the smallest page that SQLite knows; an empty file is a new one


def check_file(path: Path) -> None:
    """Raises StoreCorrupt when an existing file is garbage, truncated or broken. Creates the folder
    of a new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        try:
            fault = fault_of(path)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        if fault is not None:
            raise StoreCorrupt(f"{path}: {fault}")


def fault_of(path: Path) -> str | None:
    """What is wrong with an existing SQLite file, in words; None when nothing was found.

    Of large files only the header and the size are looked at. Raises sqlite3.OperationalError when
    it cannot be looked at.
    """
    size = path.stat().st_size
    if 0 < size < SMALLEST_BYTES:  # SQLite would take it for a new one and write over it
        return f"truncated: {size} bytes, not a database"
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as connection:
            # Takes what a killed process left in the write-ahead log, so that the file has its full
            # size.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return _size_fault(connection, path) or _page_fault(connection, path)
    except sqlite3.OperationalError:
        raise  # locked, not to be opened: says nothing about what is in it
    except sqlite3.DatabaseError as error:
        return str(error)


def _size_fault(connection: sqlite3.Connection, path: Path) -> str | None:
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
    if Path(f"{path}-wal").exists() and Path(f"{path}-wal").stat().st_size > 0:
        return None  # another process writes: the newest pages may be in its write-ahead log only
    size = path.stat().st_size
    if size < pages * page_bytes:
        return f"truncated: {size} bytes, the header says {pages * page_bytes}"
    return None


def _page_fault(connection: sqlite3.Connection, path: Path) -> str | None:
    if path.stat().st_size > FULL_CHECK_LIMIT_BYTES:
        return None
    said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if said == "ok" else said
