"""Create the tables of orders and of what happened to them."""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from payhub.journal.sql.migrate import begun_view
from payhub.journal.sql.triggers import replace_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ENTRIES: dict[str, dict[str, type[sa.types.TypeEngine[Any]]]] = {
    "attempts": {"number": sa.Integer, "lease_until": sa.BigInteger},
    "exchanges": {"body": sa.Text},
    "evidence": {"body": sa.Text, "contradicts": sa.Boolean, "times": sa.Integer, "last_at": sa.BigInteger},
    "acts": {"by": sa.Text, "body": sa.Text, "contradicts": sa.Boolean},
}
_PARTS = {
    "due_at": "due_at IS NOT NULL",
    "updated_at": "(state IN ('needs_attention', 'unknown') OR contradicted OR why = 'other_account')",
}
_LIVE = "state IN ('needs_attention', 'pending', 'reversed', 'sending', 'succeeded', 'unknown')"
_ENDS = ("succeeded", "failed", "canceled", "reversed")
_PAID = ("succeeded", "reversed")
_STEPS = {
    "not_sent": ("sending", *_PAID),
    "sending": ("not_sent", "declined", "pending", "unknown", "needs_attention", *_ENDS),
    "pending": ("needs_attention", *_ENDS),
    "unknown": ("not_sent", "declined", "pending", "needs_attention", *_ENDS),
    "needs_attention": ("pending", *_ENDS),
    "succeeded": ("failed", "reversed"),
    "failed": _PAID,
    "canceled": _PAID,
    "declined": _PAID,
    "reversed": ("succeeded", "failed"),
}


def upgrade() -> None:
    """Create them, and the triggers that refuse illegal steps."""
    prefix = context.config.attributes["prefix"]
    orders = f"{prefix}orders"
    op.create_table(
        orders,
        sa.Column("id", _ID),
        sa.Column("namespace", sa.String(255), nullable=False, server_default="default"),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("order_id", sa.String(255), nullable=False),
        sa.Column("parent", sa.String(255)),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("amount", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(64)),
        sa.Column("tail", sa.String(4)),
        sa.Column("payer", sa.String(64)),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("provider_id", sa.String(255)),
        sa.Column("provider_status", sa.Text),
        sa.Column("paid", sa.String(64)),
        sa.Column("credited", sa.String(64)),
        sa.Column("commission", sa.String(64)),
        sa.Column("partial", sa.Boolean),
        sa.Column("why", sa.String(32)),
        sa.Column("http_status", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("mismatches", sa.Text),
        sa.Column("redirect_url", sa.Text),
        sa.Column("contradicted", sa.Boolean, nullable=False),
        sa.Column("resolved", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("overruled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("notified", sa.Boolean, nullable=False),
        sa.Column("quiet_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{orders}"),
        sa.UniqueConstraint("order_id", "account", "kind", name=f"uq_{orders}_order_id"),
    )
    live = sa.text(_LIVE)
    order = ["order_id", "kind", "namespace"]
    op.create_index(f"uq_{orders}_live", orders, order, unique=True, sqlite_where=live, postgresql_where=live)
    known = sa.text("provider_id IS NOT NULL")
    ids = ["provider_id", "kind", "identity"]
    op.create_index(f"uq_{orders}_provider_id", orders, ids, unique=True, sqlite_where=known, postgresql_where=known)
    for name, part in _PARTS.items():
        where = sa.text(part)
        indexed = ["account", name] if name == "due_at" else [name]
        op.create_index(f"ix_{orders}_{name}", orders, indexed, sqlite_where=where, postgresql_where=where)
    for name, columns in _ENTRIES.items():
        table = f"{prefix}{name}"
        op.create_table(
            table,
            sa.Column("id", _ID),
            sa.Column("order", _ID, sa.ForeignKey(f"{orders}.id", name=f"fk_{table}_order"), nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            *[sa.Column(column, kind, nullable=False) for column, kind in columns.items()],
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        )
        op.create_index(f"ix_{table}_order", table, ["order"])
    notifications = f"{prefix}notifications"
    op.create_table(
        notifications,
        sa.Column("id", _ID),
        sa.Column("order_id", sa.String(255), nullable=False),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{notifications}"),
        sa.UniqueConstraint("digest", "account", name=f"uq_{notifications}_digest"),
    )
    op.create_index(f"ix_{notifications}_order_id", notifications, ["order_id"])
    slots = f"{prefix}slots"
    op.create_table(
        slots,
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("leaves_at", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name=f"pk_{slots}"),
    )
    settings = f"{prefix}settings"
    made = op.create_table(
        settings,
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=f"pk_{settings}"),
    )
    op.bulk_insert(made, [{"name": "identity", "value": secrets.token_hex(16)}])
    replace_triggers(op.get_bind(), prefix, _STEPS)
    there = "VIEW IF NOT EXISTS" if op.get_bind().dialect.name == "sqlite" else "OR REPLACE VIEW"
    op.execute(f"CREATE {there} {begun_view(prefix)} AS SELECT 1 AS begun")
