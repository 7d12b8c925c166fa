"""Tables that the ground keeps in every service's database.

Times are whole microseconds since 1970 UTC. A service adds them to its own tables with
`runtime_tables(metadata)`, so that one migration history covers both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

# SQLite counts up only what is called INTEGER; PostgreSQL's INTEGER would end at 2,147,483,647.
COUNTER = BigInteger().with_variant(Integer(), "sqlite")

_GROUND = MetaData()

outbox = Table(
    "outbox",
    _GROUND,
    Column("id", COUNTER, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("partition_key", Text),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("emitted_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice, so it never means another row
)
"""Events that are committed and not yet in the log, in commit order."""

outbox_leases = Table(
    "outbox_leases",
    _GROUND,
    Column("shard", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""Which relay publishes. Whoever takes it raises the epoch; a relay with an older one deletes
nothing."""

fact_versions = Table(
    "fact_versions",
    _GROUND,
    Column("fact", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""Last version given out for a fact such as `verdict:<user>`."""

consumed_events = Table(
    "consumed_events",
    _GROUND,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("expires_us", BigInteger, nullable=False, index=True),
)
"""Plain events whose effect is in this database; forgotten after the retention of their topic."""

applied_versions = Table(
    "applied_versions",
    _GROUND,
    Column("consumer", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""Highest version of a state whose effect is in this database."""

dead_keys = Table(
    "dead_keys",
    _GROUND,
    Column("consumer", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("since_us", BigInteger, nullable=False),
)
"""Keys refused since a poison record, until it is replayed."""


def runtime_tables(metadata: MetaData) -> MetaData:
    """Adds the tables of the ground to a service's own and returns them all. Twice is as good as
    once."""
    for table in _GROUND.sorted_tables:
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
    return metadata
