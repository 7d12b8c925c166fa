"""The little in which SQLite and PostgreSQL differ for us."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def upsert(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the connection's engine, with `on_conflict_do_update` and
    `on_conflict_do_nothing`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC of an aware datetime."""
    return round(moment.timestamp() * 1_000_000)
