"""Delete what need not be kept any longer; the facts of money always stay."""

import datetime as dt

import msgspec
import sqlalchemy as sa

from payhub.journal.records import Erasure
from payhub.journal.rules import without_personal_data
from payhub.journal.sql import rows
from payhub.journal.sql.tables import Tables
from payhub.journal.states import UNFINISHED


def _is_closed(t: Tables) -> sa.ColumnElement[bool]:
    """Return what is true of an order that nobody will ask about; see `payhub.journal.rules.is_closed`."""
    return sa.and_(t.orders.c.state.not_in(sorted(UNFINISHED)), sa.not_(t.orders.c.contradicted))


def prune(connection: sa.Connection, t: Tables, before: dt.datetime, limit: int) -> int:
    """Delete exchanges from before a time, of orders that are closed, the oldest first; return how many."""
    e, o = t.exchanges, t.orders
    old = (
        sa.select(e.c.id)
        .join(o, o.c.id == e.c.order)
        .where(e.c.at < rows.micros(before), _is_closed(t))
        .order_by(e.c.id)
        .limit(limit)
    )
    return connection.execute(e.delete().where(e.c.id.in_(old))).rowcount


def forget(connection: sa.Connection, t: Tables, payer: str) -> Erasure:
    """Keep of a payer's closed orders what was asked and paid, when, and how it ended."""
    o, e, n, v = t.orders.c, t.exchanges.c, t.notifications.c, t.evidence.c
    theirs = sa.select(o.id, o.account, o.kind, o.order_id, _is_closed(t).label("closed")).where(o.payer == payer)
    found = connection.execute(theirs).all()
    closed = [row for row in found if row.closed]
    for order in closed:
        connection.execute(t.exchanges.delete().where(e.order == order.id))
        about = sa.and_(n.account == order.account, n.kind == order.kind, n.order_id == order.order_id)
        for row in connection.execute(sa.select(n.id, n.body).where(about)).all():
            body = rows.as_json(msgspec.structs.replace(rows.read_content(row.body), fields={}))
            connection.execute(t.notifications.update().where(n.id == row.id).values(body=body))
        for row in connection.execute(sa.select(v.id, v.body).where(v.order == order.id)).all():
            body = rows.as_json(without_personal_data(rows.read_evidence(row.body)))
            connection.execute(t.evidence.update().where(v.id == row.id).values(body=body))
        nothing = dict.fromkeys(("payer", "tail", "redirect_url", "reason"))
        connection.execute(t.orders.update().where(o.id == order.id).values(nothing))
    return Erasure(len(closed), len(found) - len(closed))
