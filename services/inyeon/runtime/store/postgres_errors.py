"""What PostgreSQL's error codes mean to us (its manual, appendix A)."""

from __future__ import annotations

import asyncpg

from inyeon.runtime.errors import (
    InvalidRequest,
    InyeonError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreUnavailable,
)

OF_THE_DRIVER = (
    *(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError),
    # For example a statement between the server's last words and the end of its stream.
    asyncpg.InternalClientError,
)
"""What a connection of asyncpg raises that is not a mistake of ours in using it."""

_CONFLICTS = {
    "40001": "another transaction was first",
    "40P01": "two transactions waited for each other",
}
_BUSY = {
    "55P03": "a row was not free in time",
    "57014": "the statement took too long",
}
# Two-letter classes: lost connection, no resources (too many connections, disk full), the operator
# or a crash, the system below.
_AWAY = ("08", "53", "57", "58")
_AWAY_EXACTLY = {
    "25P03",  # we stood still in a transaction
    "25006",  # a stand-by that does not take writes: the primary has moved
    "3D000",  # no such database (any more)
    "28000",
    "28P01",  # we are not let in (any more)
}
_CORRUPT = "XX"
_NOT_TEXT = {"22001": "a text is too long", "22021": "a text has a character that is none"}


def meaning_of(where: str, error: BaseException) -> InyeonError | None:
    """Our error for what the driver raised; None for wrong statements and broken constraints."""
    code = str(getattr(error, "sqlstate", None) or "")
    said = f"{where}: {error}"
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return StoreConflict(f"{where}: the tables have changed meanwhile")
    if code in _CONFLICTS:
        return StoreConflict(f"{where}: {_CONFLICTS[code]}")
    if code in _BUSY:
        return StoreBusy(f"{where}: {_BUSY[code]}")
    if code in _NOT_TEXT:
        return InvalidRequest(f"{where}: {_NOT_TEXT[code]}", reason="TEXT_REFUSED")
    if code[:2] in _AWAY or code in _AWAY_EXACTLY:
        return StoreUnavailable(said)
    if code[:2] == _CORRUPT and code != "XX000":
        return StoreCorrupt(said)
    away = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    if isinstance(error, away):
        return StoreUnavailable(f"{where}: {error!r}")
    return None
