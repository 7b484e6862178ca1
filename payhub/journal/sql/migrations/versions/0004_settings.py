"""Create the table of what a journal was begun with."""

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    table = f"{context.config.attributes['prefix']}settings"
    op.create_table(
        table,
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=f"pk_{table}"),
    )
