"""seats of replicas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0002 to 0003."""
    op.create_table(
        "seats",
        sa.Column("pool", sa.Text(), nullable=False, comment="name of the seat"),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("pool"),
    )


def downgrade() -> None:
    """Back to 0002."""
    op.drop_table("seats")
