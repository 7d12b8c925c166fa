"""Will the server let us have the connections that we are going to need? Asked at start, because
later it is the hundredth caller who is told no."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inyeon.runtime.errors import SettingsRefused, StoreUnavailable

FIELD = "INYEON_DATABASE_CONNECTIONS"

_log = structlog.get_logger(__name__)

# Rows of other people's backends have no backend_type for us; they count all the same.
_ASKED = text(
    """
    SELECT current_setting('max_connections')::int AS most,
           current_setting('superuser_reserved_connections')::int
             + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
           (SELECT count(*) FROM pg_stat_activity
             WHERE coalesce(backend_type, 'client backend') = 'client backend'
               AND pid <> pg_backend_pid()) AS used,
           (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS role_most,
           (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS own_most,
           (SELECT count(*) FROM pg_stat_activity
             WHERE usename = session_user AND pid <> pg_backend_pid()) AS role_used,
           (SELECT numbackends - 1 FROM pg_stat_database
             WHERE datname = current_database()) AS own_used,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('fsync') AS fsync
    """
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the server has, without the connection that asked."""

    most: int
    reserved: int
    used: int
    limits: tuple[tuple[str, int], ...] = ()
    """What the role and the database may still have, where they are limited."""

    @property
    def free(self) -> int:
        """What is left for us."""
        return min([self.most - self.reserved - self.used, *(left for _, left in self.limits)])


async def capacity_of(connection: AsyncConnection) -> Capacity:
    """Asks the server."""
    row = (await connection.execute(_ASKED)).one()
    for name in ("fsync", "synchronous_commit"):
        if getattr(row, name) == "off":
            _log.warning("store.not_durable", setting=name, found="off")
    pairs = (("role", row.role_most, row.role_used), ("database", row.own_most, row.own_used))
    limits = tuple((name, most - used) for name, most, used in pairs if most >= 0)
    return Capacity(row.most, row.reserved, row.used, limits)


def check_capacity(name: str, wanted: int, found: Capacity) -> None:
    """Raises SettingsRefused where the store's connections do not fit into what is free."""
    facts = {"most": found.most, "reserved": found.reserved, "used": found.used}
    _log.info("store.connections", store=name, wanted=wanted, free=found.free, **facts)
    if wanted <= found.free:
        return
    limited = "".join(f", the {what} may have {left} more" for what, left in found.limits)
    raise _refused(
        f"{name} needs {wanted} connections and {max(found.free, 0)} are free: the server has "
        f"{found.most}, {found.reserved} reserved, {found.used} in use{limited}"
    )


async def fill(engine: AsyncEngine, size: int, name: str) -> None:
    """Opens all connections of a pool now: what we were told is ours must not be somebody else's by
    the time we need it. Raises SettingsRefused where another process was faster."""
    opened = await asyncio.gather(
        *[engine.connect().__aenter__() for _ in range(size)], return_exceptions=True
    )
    failed = [one for one in opened if isinstance(one, BaseException)]
    for one in opened:
        if not isinstance(one, BaseException):
            await one.close()
    for error in failed:
        if isinstance(error, StoreUnavailable) and "too many" in str(error):
            raise _refused(f"{name} was let in {size - len(failed)} times of {size}: {error}")
        raise error


def _refused(why: str) -> SettingsRefused:
    hint = f"lower {FIELD} (for each service of each process) or raise max_connections"
    return SettingsRefused(f"{why}; {hint}", reason="TOO_FEW_CONNECTIONS", field=FIELD)
