"""Note who said how an order ended, and find what is contradicted as fast as what is unknown."""

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PART = "(state IN ('needs_attention', 'unknown') OR contradicted)"


def upgrade() -> None:
    """Add the column, and make the index anew."""
    orders = f"{context.config.attributes['prefix']}orders"
    op.add_column(orders, sa.Column("resolved", sa.Boolean, nullable=False, server_default=sa.false()))
    op.drop_index(f"ix_{orders}_updated_at", orders)
    where = sa.text(_PART)
    op.create_index(f"ix_{orders}_updated_at", orders, ["updated_at"], sqlite_where=where, postgresql_where=where)
