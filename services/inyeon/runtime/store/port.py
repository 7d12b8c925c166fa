"""The seam to a service's own store: SQLAlchemy 2 Core over SQLite or PostgreSQL, with an outbox.

State and event are written in one transaction; a relay publishes the outbox in commit order. Each
event of a fact carries a per-key `version` taken under the row lock of its fact.

PostgreSQL has many writers at a time (READ COMMITTED), in this process and in other replicas. What
a transaction has read may be old when it writes, unless it holds what it read: `hold` a fact first,
write conditionally (`upsert`, `on_conflict_...`, `WHERE version < ...`), or `dialects.lock` a name.
Whoever holds several takes them in one order, by name.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.log.port import NewRecord


class Transaction(Protocol):
    """One database transaction; commits when its block ends without an exception."""

    @property
    def connection(self) -> AsyncConnection:
        """For SQLAlchemy Core statements of the service's own tables."""
        ...

    async def hold(self, fact: str) -> None:
        """Keeps other transactions from `hold` and `next_version` of the fact until this one ends.
        What is read afterwards is what the last holder has committed."""
        ...

    async def next_version(self, fact: str) -> int:
        """Next version of a fact such as `verdict:<user>`, from 1, rising without gaps within
        committed transactions. Holds the fact."""
        ...

    async def next_versions(self, facts: Collection[str]) -> dict[str, int]:
        """Next version of each of these facts, in one statement. Holds them, taken by name."""
        ...

    async def emit(self, record: NewRecord) -> None:
        """Puts an event into the outbox; it is published after the commit, in commit order, at
        least once. It is written when the block ends, with the others of the transaction."""
        ...


class Store(Protocol):
    """A service's own database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Opens a transaction for reading and writing. Raises StoreBusy and StoreConflict (nothing
        was written), StoreUnavailable (nothing was written, unless the database was lost during
        the commit: nobody knows), InvalidRequest (TEXT_REFUSED: a text that is none)."""
        ...

    def reading(self, *, once: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a connection for reading only, on one snapshot of what is committed. `once`: for
        one statement, which is a snapshot by itself; it saves opening and ending a transaction."""
        ...

    async def close(self) -> None:
        """Closes the pool."""
        ...
