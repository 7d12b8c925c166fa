"""Alembic's environment for every service: connection and tables come from `migrating.py`, nothing
from a file."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["tables"],
    render_as_batch=True,  # SQLite alters a table only by building it anew
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
