"""what conversations said about people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0006 to 0007."""
    op.create_table(
        "session_vectors",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False, comment="adapters.session_rows, JSON"),
        sa.Column("sums", sa.LargeBinary(), nullable=False, comment="float64, little end first"),
        sa.PrimaryKeyConstraint("user_id"),
    )
    with op.batch_alter_table("session_vectors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_vectors_at_us"), ["at_us"], unique=False)


def downgrade() -> None:
    """Back to 0006."""
    op.drop_table("session_vectors")
