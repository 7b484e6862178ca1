"""Create the table of the instants at which accounts under a rate limit may call."""

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    table = f"{context.config.attributes['prefix']}paces"
    op.create_table(
        table,
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("leaves_at", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name=f"pk_{table}"),
    )
