"""Delete from a journal what has been kept for long enough; the facts of money always stay."""

import datetime as dt
from typing import Any

import msgspec
import sqlalchemy as sa

from payhub.journal.records import Forgotten, bare
from payhub.journal.sql import rows
from payhub.journal.sql.tables import Tables
from payhub.journal.states import UNFINISHED


def prune(connection: sa.Connection, t: Tables, before: dt.datetime, limit: int) -> int:
    """Delete exchanges from before a time, of orders that are closed, the oldest first; return how many."""
    e, o = t.exchanges, t.orders
    old = (
        sa.select(e.c.id)
        .join(o, o.c.id == e.c.order)
        .where(e.c.at < rows.micros(before), o.c.state.not_in(sorted(UNFINISHED)))
        .order_by(e.c.id)
        .limit(limit)
    )
    return connection.execute(e.delete().where(e.c.id.in_(old))).rowcount


def forget(connection: sa.Connection, t: Tables, payer: str) -> Forgotten:
    """Keep of a payer's closed orders what was asked and paid, when, and how it ended."""
    o = t.orders
    mine = sa.select(o.c.id, o.c.state, o.c.account, o.c.kind, o.c.order_id).where(o.c.payer == payer)
    found = connection.execute(mine).all()
    closed = [row for row in found if row.state not in UNFINISHED]
    for row in closed:
        _forget(connection, t, row)
    return Forgotten(len(closed), len(found) - len(closed))


def _forget(connection: sa.Connection, t: Tables, row: Any) -> None:
    e, n, v = t.exchanges.c, t.notifications.c, t.evidence.c
    connection.execute(t.exchanges.delete().where(e.order == row.id))
    about = sa.and_(n.account == row.account, n.kind == row.kind, n.order_id == row.order_id)
    for note in connection.execute(sa.select(n.id, n.body).where(about)).all():
        notice = msgspec.structs.replace(rows.notice(note.body), fields={})
        connection.execute(t.notifications.update().where(n.id == note.id).values(body=rows.written(notice)))
    for said in connection.execute(sa.select(v.id, v.body).where(v.order == row.id)).all():
        found = bare(rows.said(said.body))
        connection.execute(t.evidence.update().where(v.id == said.id).values(body=rows.written(found)))
    facts = {"payer": None, "tail": None, "redirect_url": None, "reason": None}
    connection.execute(t.orders.update().where(t.orders.c.id == row.id).values(facts))
