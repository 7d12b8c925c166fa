"""windows of experiments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0008 to 0009."""
    op.create_table(
        "score_windows",
        sa.Column("experiment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tickets", sa.BigInteger(), nullable=False),
        sa.Column("matched", sa.BigInteger(), nullable=False),
        sa.Column("reported", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Text(), nullable=False, comment="JSON: [bucket, tickets] of each"),
        sa.PrimaryKeyConstraint("experiment", "pool", "number"),
    )


def downgrade() -> None:
    """Back to 0008."""
    op.drop_table("score_windows")
