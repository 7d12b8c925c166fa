"""Many rows in one statement.

SQLite executes a statement for each row, in the process and cheaply. On PostgreSQL that would be a
message and an execution a row, so there each column goes as one array: the statement is the same
for one row and for a thousand, is prepared once, and takes the rows in the order given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import String, Table, Text, bindparam, cast, column, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from inyeon.runtime.store.dialects import is_postgresql

Rows = Sequence[Mapping[str, Any]]
"""Values by column; every row has the same columns."""


async def add(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Inserts rows, of which there is at least one. Raises IntegrityError."""
    if is_postgresql(connection):
        await connection.execute(_adding(table, tuple(rows[0])), arrays(rows))
    else:
        await connection.execute(insert(table), list(rows))


async def put(connection: AsyncConnection, table: Table, rows: Rows, *, key: Sequence[str]) -> None:
    """Inserts rows with different keys, or overwrites those that are there."""
    if is_postgresql(connection):
        await connection.execute(_putting(table, tuple(rows[0]), tuple(key)), arrays(rows))
    else:
        await connection.execute(_over(sqlite.insert(table), tuple(rows[0]), key), list(rows))


async def keep(
    connection: AsyncConnection, table: Table, rows: Rows, *, key: Sequence[str]
) -> None:
    """Inserts rows whose key is not there yet and leaves the others as they are."""
    if is_postgresql(connection):
        await connection.execute(_keeping(table, tuple(rows[0]), tuple(key)), arrays(rows))
    else:
        adding = sqlite.insert(table).on_conflict_do_nothing(index_elements=list(key))
        await connection.execute(adding, list(rows))


def arrays(rows: Rows) -> dict[str, list[Any]]:
    """Parameters of `given`: `all_<column>`, an array each."""
    return {f"all_{name}": [row[name] for row in rows] for name in rows[0]}


def given(table: Table, names: Sequence[str]) -> Any:
    """The rows that `arrays` gives as a FROM clause, with `place` from 1 on beside the columns
    (PostgreSQL)."""
    kinds = {name: _kind(table.c[name].type) for name in names}
    parts: list[Any] = [cast(bindparam(f"all_{n}"), ARRAY(kind)) for n, kind in kinds.items()]
    columns: list[Any] = [column(name, kind) for name, kind in kinds.items()]
    unnested = func.unnest(*parts).table_valued(*columns, with_ordinality="place", name="rows")
    return unnested.render_derived()


def _kind(of_column: TypeEngine[Any]) -> TypeEngine[Any]:
    """A cast to VARCHAR(64) would cut what is longer, where the column itself refuses it."""
    return Text() if isinstance(of_column, String) else of_column


@cache
def _adding(table: Table, names: tuple[str, ...]) -> postgresql.Insert:
    rows = given(table, names)
    chosen = select(*[rows.c[name] for name in names]).order_by(rows.c.place)
    return postgresql.insert(table).from_select(list(names), chosen)


@cache
def _putting(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> Any:
    return _over(_adding(table, names), names, key)


@cache
def _keeping(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> Any:
    return _adding(table, names).on_conflict_do_nothing(index_elements=list(key))


def _over(
    inserting: sqlite.Insert | postgresql.Insert, names: Sequence[str], key: Sequence[str]
) -> Any:
    setting = {name: inserting.excluded[name] for name in names if name not in key}
    return inserting.on_conflict_do_update(index_elements=list(key), set_=setting)
