"""The tables of a journal, under the prefix that the application chose."""

import functools
from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from payhub.journal.reasons import Why
from payhub.journal.states import LIVE, UNSETTLED, State

_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in INTEGER columns only


def _listed(states: Iterable[State]) -> str:
    return ", ".join(repr(state.value) for state in sorted(states))


PARTS = {
    "due_at": "due_at IS NOT NULL",
    "updated_at": f"(state IN ({_listed(UNSETTLED)}) OR contradicted OR why = '{Why.OTHER_ACCOUNT}')",
}
"""The indexed columns of an order, and the part of the orders that is ever looked for by them."""

_FIRST = {"due_at": ("account",)}  # accounts take turns

SWEPT = "swept_at"
"""The setting that says when a sweep last came to its end, in microseconds since 1970."""

_Time = BigInteger  # microseconds since 1970, UTC: the same in every database, and sorts


class Tables:
    """The tables of one prefix, as SQLAlchemy needs them; migrations create them."""

    def __init__(self, prefix: str) -> None:
        """Describe them."""
        self.prefix = prefix
        self.metadata = MetaData(
            naming_convention={
                "pk": "pk_%(table_name)s",
                "uq": "uq_%(table_name)s_%(column_0_name)s",
                "fk": "fk_%(table_name)s_%(column_0_name)s",
                "ix": "ix_%(table_name)s_%(column_0_name)s",
            }
        )
        self.orders = Table(
            f"{prefix}orders",
            self.metadata,
            Column("id", _Id, primary_key=True),
            Column("namespace", String(255), nullable=False, server_default="default"),
            Column("account", String(255), nullable=False),
            Column("provider", String(255), nullable=False),
            Column("kind", String(32), nullable=False),  # no CHECK of words here and on state: see triggers.py
            Column("order_id", String(255), nullable=False),
            # The payment that a refund, capture or release is about: its order_id, on the same account. No foreign
            # key to its row: the payment may have been made without this journal, and its refunds are counted, too.
            Column("parent", String(255)),
            Column("method", String(32), nullable=False),
            Column("amount", String(64), nullable=False),
            Column("currency", String(3), nullable=False),
            Column("fingerprint", String(64), nullable=False),
            Column("identity", String(64)),  # of the account with its provider, keyed as the fingerprint is
            Column("tail", String(4)),
            Column("payer", String(64)),
            Column("state", String(32), nullable=False),
            Column("provider_id", String(255)),
            Column("provider_status", Text),
            Column("paid", String(64)),
            Column("credited", String(64)),
            Column("commission", String(64)),
            Column("partial", Boolean),
            Column("why", String(32)),
            Column("http_status", Integer),
            Column("reason", Text),
            Column("mismatches", Text),
            Column("redirect_url", Text),
            Column("contradicted", Boolean, nullable=False),
            Column("resolved", Boolean, nullable=False, server_default=false()),
            Column("overruled", Boolean, nullable=False, server_default=false()),
            Column("attempts", Integer, nullable=False),
            Column("checks", Integer, nullable=False),
            Column("sent_at", _Time),
            Column("lease_until", _Time),
            Column("due_at", _Time),
            Column("notified", Boolean, nullable=False),
            Column("quiet_until", _Time),
            Column("created_at", _Time, nullable=False),
            Column("updated_at", _Time, nullable=False),
            UniqueConstraint("order_id", "account", "kind"),
        )
        # Rule 2, in the database itself: an order has one live leg, whichever accounts it was created with.
        live = text(f"state IN ({_listed(LIVE)})")
        legs = (self.orders.c.order_id, self.orders.c.kind, self.orders.c.namespace)
        Index(f"uq_{prefix}orders_live", *legs, unique=True, sqlite_where=live, postgresql_where=live)
        # An id of the provider's names one order of an account there. By its first column orders are looked for.
        known = text("provider_id IS NOT NULL")
        ids = (self.orders.c.provider_id, self.orders.c.kind, self.orders.c.identity)
        Index(f"uq_{prefix}orders_provider_id", *ids, unique=True, sqlite_where=known, postgresql_where=known)
        for name, part in PARTS.items():  # few orders are in each part, and the others cost the index nothing
            index = f"ix_{prefix}orders_{name}"
            columns = [self.orders.c[column] for column in (*_FIRST.get(name, ()), name)]
            Index(index, *columns, sqlite_where=text(part), postgresql_where=text(part))
        self.attempts = self._entries(
            "attempts", Column("number", Integer, nullable=False), Column("lease_until", _Time, nullable=False)
        )
        self.exchanges = self._entries("exchanges", Column("body", Text, nullable=False))
        self.evidence = self._entries(
            "evidence",
            Column("body", Text, nullable=False),
            Column("contradicts", Boolean, nullable=False),
            Column("times", Integer, nullable=False),
            Column("last_at", _Time, nullable=False),
        )
        self.notifications = Table(
            f"{prefix}notifications",
            self.metadata,
            Column("id", _Id, primary_key=True),
            Column("order_id", String(255), nullable=False, index=True),
            Column("account", String(255), nullable=False),
            Column("kind", String(32), nullable=False),
            Column("digest", String(64), nullable=False),
            Column("body", Text, nullable=False),
            Column("verdict", String(32), nullable=False),
            Column("times", Integer, nullable=False),
            Column("at", _Time, nullable=False),
            Column("last_at", _Time, nullable=False),
            UniqueConstraint("digest", "account"),
        )
        self.acts = self._entries(
            "acts",
            Column("by", Text, nullable=False),
            Column("body", Text, nullable=False),
            Column("contradicts", Boolean, nullable=False),
        )
        self.slots = Table(
            f"{prefix}slots",
            self.metadata,
            Column("account", String(255), primary_key=True),
            Column("leaves_at", _Time, nullable=False),
            Column("at", _Time, nullable=False),
        )

        self.settings = Table(
            f"{prefix}settings",
            self.metadata,
            Column("name", String(64), primary_key=True),
            Column("value", Text, nullable=False),
        )

    def _entries(self, name: str, *columns: Column[object]) -> Table:
        """Return a table of things that happened to orders."""
        return Table(
            f"{self.prefix}{name}",
            self.metadata,
            Column("id", _Id, primary_key=True),
            Column("order", _Id, ForeignKey(self.orders.c.id), nullable=False, index=True),
            Column("at", _Time, nullable=False),
            *columns,
        )


@functools.cache
def tables(prefix: str) -> Tables:
    """Return the tables of a prefix."""
    return Tables(prefix)
