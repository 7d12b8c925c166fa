"""PostgreSQL as the store wants it: where it is, how long anything may take, how connections are
shared out.

Every limit is set on the connection itself, so that a forgotten default of the server cannot take
it away. A pooler in transaction mode between us and the server would lose them, prepared statements
and LISTEN: connect to the server itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from inyeon.runtime.errors import SettingsRefused, StoreUnavailable
from inyeon.runtime.store.postgres_errors import OF_THE_DRIVER, meaning_of

FIELD = "INYEON_DATABASE_URL"

# A caller of an RPC has 10 s. What one transaction may wait for at the worst and still leave time
# for an answer: 2 s for a free connection, then 5 s for its slowest statement (2 s of them for a
# lock), which makes 7 s; 3 s are left.
POOL_WAIT_S = 2.0
# A transaction holds its rows for some 5 ms, so 2 s are a queue of 400 on one row.
LOCK_WAIT_S = 2.0
STATEMENT_S = 5.0  # the slowest of ours, the audit of 100,000 decisions, takes about 1 s
# The server gives up first and says why; the driver's own limit is for a network that swallows the
# answer: 5 s and a round trip of 2 s.
COMMAND_S = STATEMENT_S + 2.0
# No transaction of ours waits for anything but the database, so 5 s without a statement mean that
# its process stands still (SIGSTOP, a host that is gone). Its rows are free again then, which
# leaves others half of the 10 s in which matching must go on.
IDLE_IN_TRANSACTION_S = 5.0
CONNECT_S = 3.0  # 5 to 20 ms as a rule; a busy host may need a second or two
# A replica that starts waits for another one's migration: the longest transaction of a migration
# (10 min) would be too long for a start, one minute is what pods get to become ready.
MIGRATION_WAIT_S = 60.0
MIGRATION_STATEMENT_S = 600.0
# A dead host's connections are counted against the limit of the server until it notices: 60 s of
# silence and three unanswered probes of 10 s.
_KEEPALIVE = {"tcp_keepalives_idle": "60", "tcp_keepalives_interval": "10"} | {
    "tcp_keepalives_count": "3"
}
_KEPT_STATEMENTS = 200  # prepared statements of one connection; the services have some 80

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
_SSL_MODES: tuple[SslMode, ...] = get_args(SslMode)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, taken apart."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    ssl: ssl.SSLContext | SslMode | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """From `postgresql://user:password@host:port/database`, with `sslmode` and `sslrootcert`
        where wanted. Raises SettingsRefused naming INYEON_DATABASE_URL; it never repeats the
        password."""
        try:
            parts = urlsplit(url)
            port = parts.port or 5432
        except ValueError:
            raise _refused("is no URL with a port from 1 to 65535") from None
        if parts.scheme not in ("postgresql", "postgres"):
            raise _refused("must begin with postgresql://")
        database = unquote(parts.path.removeprefix("/"))
        if not parts.hostname or not database or "/" in database:
            raise _refused("must name one host and one database: postgresql://user@host:port/name")
        if parts.fragment:
            raise _refused("has a '#': write it as %23")
        return cls(
            parts.hostname,
            port,
            unquote(parts.username or "postgres"),
            unquote(parts.password or ""),
            database,
            _ssl_of(parts.query),
        )

    async def connect(self, settings: Mapping[str, str], command_s: float | None) -> Any:
        """A connection of its own. Raises StoreUnavailable where the server cannot be reached or
        does not let us in."""
        try:
            return await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password or None,
                database=self.database,
                ssl=self.ssl,
                timeout=CONNECT_S,
                command_timeout=command_s,
                # SQLAlchemy keeps prepared statements itself.
                statement_cache_size=0,
                server_settings=dict(settings),
            )
        except OF_THE_DRIVER as error:
            where = f"{self.host}:{self.port}/{self.database}"
            raise meaning_of(where, error) or StoreUnavailable(f"{where}: {error}") from error


def address_of(template: str, service: str) -> Address:
    """The service's own database, from a template with `{service}` in the database's name. Raises
    SettingsRefused naming INYEON_DATABASE_URL."""
    if "{service}" not in urlsplit(template).path:
        raise _refused("must have {service} in the database's name: each service has its own")
    if template.count("{") != 1 or template.count("}") != 1:
        raise _refused("may have no brace but {service}: write others as %7B and %7D")
    return Address.parse(template.replace("{service}", service))


@dataclass(frozen=True, slots=True)
class Shares:
    """How the connections of one store are shared out; together they are what is configured."""

    writers: int
    readers: int
    bell: int = 1
    """One that listens for other processes' events and tells them of ours."""

    @classmethod
    def of(cls, connections: int) -> Shares:
        """Of what the bell leaves, a third reads: most of our statements are in transactions that
        write. At least 3."""
        rest = connections - 1
        readers = max(1, rest // 3)
        return cls(rest - readers, readers)

    @property
    def total(self) -> int:
        """All of them."""
        return self.writers + self.readers + self.bell


def writing_engine(address: Address, name: str, size: int, durable: bool) -> AsyncEngine:
    """Engine of transactions that write, READ COMMITTED. Not durable: tests only."""
    settings = _settings(name) | ({} if durable else {"synchronous_commit": "off"})
    return _pooled(address, settings, size, "READ COMMITTED")


def reading_engine(address: Address, name: str, size: int) -> AsyncEngine:
    """Engine of transactions that only read, each on one snapshot (REPEATABLE READ)."""
    settings = _settings(name) | {"default_transaction_read_only": "on"}
    return _pooled(address, settings, size, "REPEATABLE READ")


def migrating_engine(address: Address, name: str) -> AsyncEngine:
    """Engine of one migration."""
    limits = {"statement_timeout": _ms(MIGRATION_STATEMENT_S), "lock_timeout": _ms(LOCK_WAIT_S)}
    settings = _settings(name) | limits | {"idle_in_transaction_session_timeout": _ms(60)}
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: address.connect(settings, None),
        poolclass=NullPool,
    )


async def bell_connection(address: Address, name: str) -> Any:
    """A connection for LISTEN and NOTIFY: idle for as long as nothing happens. A notice lost in a
    crash costs a second at most, so it need not wait for the disk."""
    settings = _settings(name) | {"synchronous_commit": "off"}
    return await address.connect(settings, COMMAND_S)


def _pooled(
    address: Address, settings: Mapping[str, str], size: int, isolation: str
) -> AsyncEngine:
    engine = create_async_engine(
        f"postgresql+asyncpg://?prepared_statement_cache_size={_KEPT_STATEMENTS}",
        async_creator=lambda: address.connect(settings, COMMAND_S),
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        # The one used last is used again, so a burst's other connections are not kept warm.
        pool_use_lifo=True,
        isolation_level=isolation,
    )
    _drop_closed_ones(engine)
    _name_raw_errors(engine)
    return engine


def _settings(name: str) -> dict[str, str]:
    return {
        "application_name": f"inyeon-{name}",
        "statement_timeout": _ms(STATEMENT_S),
        "lock_timeout": _ms(LOCK_WAIT_S),
        "idle_in_transaction_session_timeout": _ms(IDLE_IN_TRANSACTION_S),
        "jit": "off",  # our statements take microseconds; compiling one takes tens of milliseconds
        **_KEEPALIVE,
    }


def _drop_closed_ones(engine: AsyncEngine) -> None:
    """A connection that the server has closed is noticed before it is used. Asking the server, as
    a pre-ping does, would be one more round trip of each transaction."""

    @event.listens_for(engine.sync_engine, "checkout")
    def checked_out(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        driver: Any = entry.driver_connection
        if driver.is_closed():
            raise DisconnectionError("the server has closed it")


def _name_raw_errors(engine: AsyncEngine) -> None:
    """What the driver raises bare about the network becomes ours and ends the connection; so does
    an InternalClientError, which comes between a server's last words and the end of its stream.
    """

    @event.listens_for(engine.sync_engine, "handle_error")
    def failed(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error.__cause__, asyncpg.InternalClientError):
            context.is_disconnect = True
        if isinstance(error, (OSError, TimeoutError)):
            context.is_disconnect = True
            raise StoreUnavailable(f"no answer of the database: {error!r}") from error


def _ssl_of(query: str) -> ssl.SSLContext | SslMode | None:
    given = dict(parse_qsl(query, keep_blank_values=True))
    mode, roots = given.pop("sslmode", None), given.pop("sslrootcert", None)
    if given:
        raise _refused(f"may have sslmode and sslrootcert, not {sorted(given)[0]!r}")
    chosen = next((known for known in _SSL_MODES if known == mode), None)
    if mode is not None and chosen is None:
        raise _refused(f"has sslmode {mode!r}; it may be one of {', '.join(_SSL_MODES)}")
    if roots is None:
        return chosen
    if mode not in ("verify-ca", "verify-full"):
        raise _refused("has sslrootcert, which needs sslmode verify-ca or verify-full")
    try:
        context = ssl.create_default_context(cafile=roots)
    except OSError as error:
        raise _refused(f"names sslrootcert {roots!r}: {error}") from error
    context.check_hostname = mode == "verify-full"
    return context


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _refused(why: str) -> SettingsRefused:
    return SettingsRefused(f"{FIELD} {why}", reason="DATABASE_URL_REFUSED", field=FIELD)
