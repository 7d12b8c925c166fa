"""The little in which SQLite and PostgreSQL differ for us."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, Table, Text, TypeDecorator, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement


def upsert(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT of the connection's engine, with `on_conflict_do_update` and
    `on_conflict_do_nothing`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC of an aware datetime."""
    return round(moment.timestamp() * 1_000_000)


def is_postgresql(connection: AsyncConnection) -> bool:
    """The connection's engine has many writers at a time."""
    return bool(connection.dialect.name == "postgresql")


def one_of(column: ColumnElement[Any], values: str, *, of_server: bool) -> ColumnElement[bool]:
    """The column has one of the values of the parameter `values`, a list. The statement is the same
    for one and for a thousand, so it is compiled and prepared once: on PostgreSQL (`of_server`)
    they are one array, on SQLite one JSON text."""
    if of_server:
        return column == any_(bindparam(values, type_=postgresql.ARRAY(column.type)))
    return column.in_(select(each_of(values)))


def each_of(values: str) -> ColumnElement[Any]:
    """Each value of the parameter `values`, a list, as a row (SQLite)."""
    listed = func.json_each(bindparam(values, type_=_JsonList())).table_valued("value")
    return listed.c.value


class _JsonList(TypeDecorator[list[Any]]):
    """A list of texts or whole numbers as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> str:
        return json.dumps(list(value or ()))


async def lock(connection: AsyncConnection, name: str, *, shared: bool = False) -> None:
    """Holds a name until the transaction ends: alone, or shared with others who share it. Take it
    before any row. SQLite has one writer, who holds everything alone.

    Raises StoreBusy (through the store) after 2 s.
    """
    if is_postgresql(connection):
        take = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        await connection.execute(select(take(lock_number(name))))


def lock_number(name: str) -> int:
    """PostgreSQL's number of an advisory lock, 64 bits with a sign."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
