"""words about scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0007 to 0008."""
    op.create_table(
        "score_words",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("pool", sa.Text(), nullable=False, comment="*: every pool"),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_us", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="adapters.score_rows, JSON"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("score_words", schema=None) as batch_op:
        batch_op.create_index("score_words_of_pool", ["pool", "number"], unique=False)


def downgrade() -> None:
    """Back to 0007."""
    op.drop_table("score_words")
