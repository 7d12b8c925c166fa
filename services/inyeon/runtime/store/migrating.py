"""Alembic for every service: one environment, one folder of revisions each.

1. `inyeon/<service>/adapters/tables.py` builds the service's `MetaData` in code:

       TABLES = runtime_tables(MetaData())
       stream_sessions = session_tables(TABLES)  # where the service has streams
       people = Table("people", TABLES, Column("user_id", Text, primary_key=True), ...)

2. Its revisions live in `inyeon/<service>/adapters/migrations/r0001_*.py`. Each one is written by
   comparing the tables with the newest revision; read it, `ruff format` it, commit it:

       from inyeon.gateway.adapters.tables import TABLES
       from inyeon.runtime.store.migrating import migrations_of, write_revision
       write_revision(TABLES, migrations_of("gateway"), "first tables")

   Released revisions are never edited. Before the first release the one revision may be deleted
   and written anew.

3. `ground.store(service, TABLES)` brings the database to the newest revision at start, under the
   database's own lock and in one transaction: after a crash all of it is there or nothing. Of two
   replicas that start at once one migrates and the other waits, a minute at most.

4. A unit test keeps both in step:

       assert migration_differences(TABLES, migrations_of("gateway")) == []

The same revisions run on SQLite and PostgreSQL: use portable types (Text, BigInteger, LargeBinary,
Boolean, Float) and `tables.COUNTER` for a number that the database counts up.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from inyeon.runtime.errors import MigrationFailed
from inyeon.runtime.store.dialects import is_postgresql, lock
from inyeon.runtime.store.postgres import LOCK_WAIT_S, MIGRATION_WAIT_S

_ENVIRONMENT = Path(__file__).parent / "alembic_env"


def migrations_of(service: str) -> Path:
    """Folder of a service's revisions. Raises MigrationFailed when there is no such service."""
    found = importlib.util.find_spec(f"inyeon.{service}")
    if found is None or found.origin is None:
        raise MigrationFailed(f"there is no service {service!r}", field="service")
    return Path(found.origin).parent / "adapters" / "migrations"


def upgrade(connection: Connection, tables: MetaData, folder: Path) -> None:
    """Brings a database to the newest revision within the connection's transaction.

    Raises MigrationFailed when the folder has no revision, the database is newer than the code, or
    a revision fails.
    """
    if not any(folder.glob("r*.py")):
        message = f"no revision in {folder}; see inyeon/runtime/store/migrating.py"
        raise MigrationFailed(message, field="migrations")
    try:
        command.upgrade(_config(connection, tables, folder), "head")
    except (CommandError, DBAPIError) as error:
        raise MigrationFailed(f"{folder}: {error}", field="migrations") from error


async def alone(connection: AsyncConnection) -> None:
    """Waits until no other replica migrates this database, a minute at most (then StoreBusy). On
    SQLite whoever has begun to write is alone."""
    if not is_postgresql(connection):
        return
    await connection.execute(text(f"SET LOCAL lock_timeout = {MIGRATION_WAIT_S * 1000:.0f}"))
    await lock(connection, "inyeon-migration")
    # Old replicas still work: whoever waits long for one of their tables makes everybody wait.
    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_WAIT_S * 1000:.0f}"))


async def suit_outbox(connection: AsyncConnection) -> None:
    """Every event is written and deleted once, so PostgreSQL must clean up by number: by its
    default, a fifth of the table, it would do so too rarely after a backlog and for ever on an
    empty one."""
    if not is_postgresql(connection):
        return
    asked = text("SELECT reloptions IS NULL FROM pg_class WHERE oid = to_regclass('outbox')")
    if await connection.scalar(asked):
        await connection.execute(
            text(
                "ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, "
                "autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_insert_scale_factor = 0, "
                "autovacuum_vacuum_insert_threshold = 100000)"
            )
        )


def write_revision(tables: MetaData, folder: Path, message: str) -> Path:
    """Writes the revision that leads from the newest one to the tables, and returns its file.
    Raises MigrationFailed when nothing has changed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").touch()
    number = len(list(folder.glob("r*.py"))) + 1
    if number > 1 and not migration_differences(tables, folder):
        raise MigrationFailed("the tables are as the newest revision says", field="tables")
    with _Scratch() as connection:
        config = _config(connection, tables, folder)
        if number > 1:
            command.upgrade(config, "head")
        script = command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
    if script is None or isinstance(script, list):
        raise MigrationFailed("Alembic wrote no single revision", field="migrations")
    return Path(script.path)


def migration_differences(tables: MetaData, folder: Path) -> list[str]:
    """What the newest revision lacks, in words; empty when the migrated database has exactly these
    tables."""
    with _Scratch() as connection:
        return differences(connection, tables, folder)


def differences(connection: Connection, tables: MetaData, folder: Path) -> list[str]:
    """The same in an empty database that is given, within its transaction; for other engines:
    `await connection.run_sync(differences, TABLES, folder)`."""
    upgrade(connection, tables, folder)
    context = MigrationContext.configure(connection)
    return [repr(difference) for difference in compare_metadata(context, tables)]


def _config(connection: Connection, tables: MetaData, folder: Path) -> Config:
    config = Config(stdout=io.StringIO())  # Alembic prints the names of files it writes
    config.set_main_option("script_location", _escaped(_ENVIRONMENT))
    config.set_main_option("version_locations", _escaped(folder))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    config.attributes["tables"] = tables
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


class _Scratch:
    """A throw-away SQLite database in a file, because Alembic opens more than one statement at a
    time."""

    def __enter__(self) -> Connection:
        self._folder = tempfile.TemporaryDirectory(prefix="inyeon-migrating-")
        self._engine = create_engine(f"sqlite:///{self._folder.name}/db", poolclass=NullPool)
        self._connection = self._engine.connect()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._engine.dispose()
        self._folder.cleanup()
