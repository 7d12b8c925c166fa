"""people who were moved to another pool."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0005 to 0006."""
    op.create_table(
        "moved_users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Text(), nullable=False),
        sa.Column("moved_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
    with op.batch_alter_table("moved_users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_moved_users_home"), ["home"], unique=False)
        batch_op.create_index(batch_op.f("ix_moved_users_moved_us"), ["moved_us"], unique=False)


def downgrade() -> None:
    """Back to 0005."""
    op.drop_table("moved_users")
