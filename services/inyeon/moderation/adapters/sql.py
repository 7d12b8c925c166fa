"""Small things that every book of the ledger needs: upserts on both engines, times as
microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Insert = sqlite.Insert | postgresql.Insert


def insert_into(connection: AsyncConnection, table: Table) -> Insert:
    """An INSERT that knows ON CONFLICT in the connection's dialect."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def micros(at: datetime) -> int:
    """Microseconds since 1970 UTC of an aware time."""
    return (at - EPOCH) // timedelta(microseconds=1)


def moment(micros_since: int) -> datetime:
    """The aware UTC time again."""
    return EPOCH + timedelta(microseconds=micros_since)
