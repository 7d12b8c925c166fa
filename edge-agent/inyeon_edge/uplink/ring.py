"""Bounded ring on disk: observation windows that the platform has not acknowledged.

One SQLite file in WAL mode. A statement is in the operating system's hands when `put` returns, so
`kill -9` loses nothing; `synchronous=NORMAL` gives up at most the last seconds when the machine
itself loses power. A write takes well under a millisecond (no fsync on the way), hence it is done
in the loop's thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from inyeon_edge.errors import RingUnusable
from inyeon_edge.uplink.outbox import Pending

CAP_BYTES = 4 * 1024 * 1024  # 2 windows a second of about 300 B: near two hours without a platform
MAX_AGE_S = 2 * 3600.0  # an older window says nothing about now; the same two hours
ROW_BYTES = 48  # what SQLite and its index take beside the payload, rounded up

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pending (
  key INTEGER PRIMARY KEY AUTOINCREMENT, goes_first INTEGER NOT NULL, put_at REAL NOT NULL,
  sequence INTEGER, payload BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class DiskRing:
    """An outbox that survives `kill -9`. Full, it drops the oldest messages, those that may go
    first before others, and counts them; below its cap it drops only what is older than the age
    limit."""

    def __init__(
        self,
        path: Path,
        now_s: Callable[[], float],
        cap_bytes: int = CAP_BYTES,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        """Opens or makes the file; a damaged one is put aside as `<name>.damaged`. Raises
        RingUnusable."""
        self._path, self._now_s = path, now_s
        self._cap_bytes, self._max_age_s = cap_bytes, max_age_s
        self._dropped = 0
        self.was_damaged = False
        self._db = self._open_or_replace()
        self._size_bytes = self._measure()
        self._drop_old()

    def put(self, payload: bytes, *, goes_first: bool = False) -> int:
        self._make_room(len(payload) + ROW_BYTES)
        row = self._db.execute(
            "INSERT INTO pending (goes_first, put_at, payload) VALUES (?, ?, ?)",
            (int(goes_first), self._now_s(), payload),
        )
        self._size_bytes += len(payload) + ROW_BYTES
        return int(row.lastrowid or 0)

    def after(self, key: int) -> Pending | None:
        row = self._db.execute(
            "SELECT key, payload FROM pending WHERE key > ? ORDER BY key LIMIT 1", (key,)
        ).fetchone()
        return Pending(int(row[0]), bytes(row[1])) if row else None

    def mark(self, key: int, sequence: int) -> None:
        self._db.execute("UPDATE pending SET sequence = ? WHERE key = ?", (sequence, key))

    def remove(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._delete("key = ?", key)
        if not len(self):
            self._db.execute("PRAGMA incremental_vacuum")

    def reopen(self, acknowledged: int) -> list[int]:
        self._drop_old()
        rows = self._db.execute("SELECT key FROM pending WHERE sequence <= ?", (acknowledged,))
        done = [int(row[0]) for row in rows.fetchall()]
        self.remove(done)
        self._db.execute("UPDATE pending SET sequence = NULL WHERE sequence IS NOT NULL")
        return done

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM pending").fetchone()[0])

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def dropped(self) -> int:
        return self._dropped

    def fact(self, name: str) -> str:
        """A small fact kept beside the messages, such as the session's id; empty if never noted."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def note(self, name: str, value: str) -> None:
        """Keeps a fact; the newest value counts."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Closes the file; what waits stays in it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _open(self._path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._put_aside()
                return _open(self._path)
        except (OSError, sqlite3.Error) as error:
            raise RingUnusable(f"{self._path}: {error}", field="state_dir") from error

    def _put_aside(self) -> None:
        self.was_damaged = True
        self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _measure(self) -> int:
        row = self._db.execute("SELECT count(*), total(length(payload)) FROM pending").fetchone()
        return int(row[0]) * ROW_BYTES + int(row[1])

    def _drop_old(self) -> None:
        self._dropped += self._delete("put_at < ?", self._now_s() - self._max_age_s)

    def _make_room(self, size_bytes: int) -> None:
        while self._size_bytes and self._size_bytes + size_bytes > self._cap_bytes:
            row = self._db.execute(
                "SELECT key FROM pending ORDER BY goes_first DESC, key LIMIT 1"
            ).fetchone()
            self._dropped += self._delete("key = ?", row[0])

    def _delete(self, where: str, value: float) -> int:
        statement = f"DELETE FROM pending WHERE {where} RETURNING length(payload)"  # noqa: S608 - our own text
        rows = self._db.execute(statement, (value,)).fetchall()
        self._size_bytes -= sum(int(row[0]) + ROW_BYTES for row in rows)
        return len(rows)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA journal_size_limit = 1048576")
        db.executescript(_SCHEMA)
        if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check found damage")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.close()
        raise
    return db
