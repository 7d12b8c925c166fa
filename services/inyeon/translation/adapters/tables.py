"""Tables of translation's store: sessions of Converse, and what the ground needs."""

from __future__ import annotations

from sqlalchemy import MetaData

from inyeon.runtime.store.tables import runtime_tables
from inyeon.runtime.streams.sessions_sql import session_tables

TABLES = runtime_tables(MetaData())
stream_sessions = session_tables(TABLES)
