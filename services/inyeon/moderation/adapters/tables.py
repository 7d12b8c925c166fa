"""Tables of moderation's store, beside the ground's in the same database. Times are integers,
microseconds since 1970 UTC: the same on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from inyeon.runtime.store.tables import runtime_tables
from inyeon.runtime.streams.sessions_sql import session_tables

TABLES = runtime_tables(MetaData())
stream_sessions = session_tables(TABLES)

snapshots = Table(
    "moderation_snapshots",
    TABLES,
    Column("session_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("state", Text, nullable=False, comment="domain.snapshot.Snapshot as JSON"),
    Column("updated_at", BigInteger, nullable=False, index=True),
)

verdicts = Table(
    "moderation_verdicts",
    TABLES,
    Column("user_id", String(64), primary_key=True),
    Column("session_id", String(64), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

matches = Table(
    "moderation_matches",
    TABLES,
    Column("match_id", String(64), primary_key=True),
    Column("user_a", String(64), nullable=False),
    Column("user_b", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("ended_at", BigInteger, comment="absent while it lives"),
)
LIVE = text("ended_at IS NULL")
Index("moderation_live_a", matches.c.user_a, sqlite_where=LIVE, postgresql_where=LIVE)
Index("moderation_live_b", matches.c.user_b, sqlite_where=LIVE, postgresql_where=LIVE)

cases = Table(
    "moderation_cases",
    TABLES,
    Column("case_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("match_id", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("explanation", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("decision", String(16)),
    CheckConstraint(
        "(closed_at IS NULL) = (decision IS NULL)", name="moderation_closed_is_decided"
    ),
)
OPEN = text("closed_at IS NULL")
Index(
    "moderation_one_open_case",
    cases.c.user_id,
    cases.c.reason,
    unique=True,
    sqlite_where=OPEN,
    postgresql_where=OPEN,
)
Index("moderation_cases_by_age", cases.c.opened_at, cases.c.case_id)

reports = Table(
    "moderation_reports",
    TABLES,
    Column("reporter_id", String(64), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("case_id", String(64), nullable=False, index=True),
    Column("note", Text, nullable=False),
    Column("reported_at", BigInteger, nullable=False),
)

decisions = Table(
    "moderation_decisions",
    TABLES,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("case_id", String(64), nullable=False),
    Column("reviewer", String(64), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("decided_at", String(40), nullable=False, comment="ISO 8601 UTC, as hashed"),
    Column("hash", String(64), nullable=False, comment="domain.chain.Entry.hash_after"),
)

chain_head = Table(
    "moderation_chain_head",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

edges = Table(
    "moderation_edges",
    TABLES,
    Column("user_id", String(64), primary_key=True),
    Column("other_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

policies = Table(
    "moderation_policies",
    TABLES,
    Column("version", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("published_at", BigInteger, nullable=False),
)

case_embeddings = Table(
    "moderation_case_embeddings",
    TABLES,
    Column("case_id", String(64), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("dims", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False, comment="INT8_SCALED"),
    Column("reason", String(64), nullable=False, comment="of the escalation or of the rule"),
    Column("kept_at", BigInteger, nullable=False),
)
"""Only of open cases: a decision moves the row into the bank or removes it."""

bank_entries = Table(
    "moderation_bank_entries",
    TABLES,
    Column("entry_id", String(64), primary_key=True),
    Column("bank", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("dims", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False, comment="INT8_SCALED"),
    Column("case_id", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

evidence_asks = Table(
    "moderation_evidence_asks",
    TABLES,
    Column("directive_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("escalation_id", String(64), nullable=False),
    Column("match_id", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("answered_by", String(64), comment="request id; absent while nobody answered"),
)

leases = Table(
    "moderation_leases",
    TABLES,
    Column("name", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
