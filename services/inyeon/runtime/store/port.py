"""The seam to a service's own store: SQLAlchemy 2 Core over SQLite (PostgreSQL next), with an
outbox.

State and event are written in one transaction; a relay publishes the outbox in commit order. Each
event of a fact carries a per-key `version` taken under the row lock of its fact.
"""

from __future__ import annotations

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

    async def next_version(self, fact: str) -> int:
        """Next version of a fact such as `verdict:<user>`, from 1, rising without gaps within
        committed transactions."""
        ...

    async def emit(self, record: NewRecord) -> None:
        """Puts an event into the outbox; it is published after the commit, in commit order, at
        least once."""
        ...


class Store(Protocol):
    """A service's own database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Opens a transaction for reading and writing. Raises StoreUnavailable, StoreBusy."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a connection for reading only."""
        ...

    async def close(self) -> None:
        """Closes the pool."""
        ...
