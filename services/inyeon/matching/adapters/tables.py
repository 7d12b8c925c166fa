"""Tables of matching's store. Times are whole microseconds since 1970 UTC."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, LargeBinary, MetaData, Table, Text

from inyeon.runtime.store.tables import COUNTER, runtime_tables
from inyeon.runtime.streams.sessions_sql import session_tables

TABLES = runtime_tables(MetaData())
stream_sessions = session_tables(TABLES)

live_matches = Table(
    "live_matches",
    TABLES,
    Column("match_id", Text, primary_key=True),
    Column("pool", Text, nullable=False, index=True),
    Column("started_us", BigInteger, nullable=False),
    Column("match", Text, nullable=False, comment="adapters.rows, JSON"),
)

# The primary key is the promise: a user is in at most one live match.
live_users = Table(
    "live_users",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("match_id", Text, nullable=False, index=True),
)

# The primary key decides: the first of match, cancel and expiry ends a ticket.
ticket_ends = Table(
    "ticket_ends",
    TABLES,
    Column("ticket_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_us", BigInteger, nullable=False, index=True),
)

pool_owners = Table(
    "pool_owners",
    TABLES,
    Column("pool", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("replica", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False, server_default="0"),
)

# A seat each replica, with a lease like a pool's; `pool` is the seat's name.
seats = Table(
    "seats",
    TABLES,
    Column("pool", Text, primary_key=True, comment="name of the seat"),
    Column("epoch", BigInteger, nullable=False),
    Column("replica", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False, server_default="0"),
)

# Behind them lies every verdict that moderation committed before; written now and then only.
verdict_marks = Table(
    "verdict_marks",
    TABLES,
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    Column("committed_us", BigInteger, nullable=False),
)

# Where somebody is who was moved out of the pool of their country; the newest move.
moved_users = Table(
    "moved_users",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("home", Text, nullable=False, index=True),
    Column("pool", Text, nullable=False),
    Column("ticket_id", Text, nullable=False),
    Column("moved_us", BigInteger, nullable=False, index=True),
)

verdicts = Table(
    "verdicts",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)

sanctions = Table(
    "sanctions",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False, comment="0: lifted"),
    Column("version", BigInteger, nullable=False),
)

# One row a direction, as moderation records them; either one bars both ways.
edges = Table(
    "edges",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("other_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)
Index("edges_of_other", edges.c.other_id, edges.c.user_id)

# Rematch horizon; user_id < other_id.
meetings = Table(
    "meetings",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("other_id", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False, index=True),
)
Index("meetings_of_other", meetings.c.other_id, meetings.c.user_id)

# How often somebody was at fault in a row, and until when they cool down.
faults = Table(
    "faults",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False, index=True),
    Column("until_us", BigInteger, nullable=False),
)

# Which accounts were seen on which device: a block of one account holds for all of its device.
devices = Table(
    "devices",
    TABLES,
    Column("device", Text, primary_key=True, comment="keyed hash"),
    Column("user_id", Text, primary_key=True),
    Column("seen_us", BigInteger, nullable=False),
)
Index("devices_of_user", devices.c.user_id, devices.c.device)

# What operators said of pools; the newest word counts.
pool_modes = Table(
    "pool_modes",
    TABLES,
    Column("pool", Text, primary_key=True, comment="*: every pool"),
    Column("mode", Text, nullable=False),
    Column("said_by", Text, nullable=False),
    Column("said_us", BigInteger, nullable=False),
)

# What operators and guardrails said of scores, in the order in which it was committed.
score_words = Table(
    "score_words",
    TABLES,
    Column("number", COUNTER, primary_key=True, autoincrement=True),
    Column("pool", Text, nullable=False, comment="*: every pool"),
    Column("verb", Text, nullable=False),
    Column("said_by", Text, nullable=False),
    Column("said_us", BigInteger, nullable=False),
    Column("what", Text, nullable=False, comment="adapters.score_rows, JSON"),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)
# What the windows of an experiment showed; `experiment` is the number of the word that began it.
score_windows = Table(
    "score_windows",
    TABLES,
    Column("experiment", BigInteger, primary_key=True, autoincrement=False),
    Column("pool", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("tickets", BigInteger, nullable=False),
    Column("matched", BigInteger, nullable=False),
    Column("reported", BigInteger, nullable=False),
    Column("waits", Text, nullable=False, comment="JSON: [bucket, tickets] of each"),
)

Index("score_words_of_pool", score_words.c.pool, score_words.c.number)

credits_given = Table(
    "credits_given",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("waited_s", Float, nullable=False),
    Column("until_us", BigInteger, nullable=False, index=True),
)

# What conversations said about somebody's taste; two hours from the last one.
session_vectors = Table(
    "session_vectors",
    TABLES,
    Column("user_id", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("space", Text, nullable=False, comment="adapters.session_rows, JSON"),
    Column("sums", LargeBinary, nullable=False, comment="float64, little end first"),
)
