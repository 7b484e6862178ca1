"""Read what a journal has; nothing here changes it."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from payhub.journal.records import Entry, Health, Key, OrderFilter, Record, StoredNotification
from payhub.journal.sql import rows
from payhub.journal.sql.statements import CLOCK
from payhub.journal.sql.tables import PARTS, SWEPT, Tables
from payhub.journal.states import OPEN, UNSETTLED, State

Read = Callable[[Iterable[Any]], Iterator[Record]]
"""What reads orders, and leaves out what cannot be read."""


def _now(connection: sa.Connection) -> dt.datetime:
    """Return the time by PostgreSQL's clock; SQLite is on one machine."""
    if connection.dialect.name == "sqlite":
        return dt.datetime.now(dt.UTC)
    return rows.moment(connection.execute(sa.select(sa.literal_column(CLOCK))).scalar_one())


def _due_before(t: Tables, now: dt.datetime, seconds: float) -> sa.ColumnElement[bool]:
    return t.orders.c.due_at <= rows.micros(now - dt.timedelta(seconds=seconds))


def _given_up(t: Tables, now: dt.datetime) -> sa.ColumnElement[bool]:
    """Return what is true of an order whose sender did not report in time."""
    c = t.orders.c
    return sa.and_(c.state == State.SENDING, _due_before(t, now, 0.0), c.lease_until <= rows.micros(now))


def unsettled(
    connection: sa.Connection, t: Tables, read: Read, older: float, limit: int, overdue: float
) -> tuple[Record, ...]:
    """Return the orders that wait for a person, or for a sweep, those first that have not changed for longest."""
    c, now = t.orders.c, _now(connection)
    before = c.updated_at <= rows.micros(now - dt.timedelta(seconds=older))
    ahead = c.updated_at > rows.micros(now)
    found: dict[Key, Record] = {}
    for which in (  # each has an index
        sa.and_(sa.text(PARTS["updated_at"]), sa.or_(before, ahead)),
        sa.and_(_given_up(t, now), before),
        sa.and_(_due_before(t, now, overdue), before),
        sa.and_(c.due_at.is_not(None), c.state.in_(sorted(OPEN - UNSETTLED)), ahead),
    ):
        query = sa.select(t.orders).where(which).order_by(c.updated_at).limit(limit)
        found |= {record.facts.key: record for record in read(connection.execute(query))}
    return tuple(sorted(found.values(), key=lambda record: record.updated_at)[:limit])


def health(connection: sa.Connection, t: Tables, overdue: float, waiting: float) -> Health:
    """Count the orders that are overdue, and those that wait for a person; none is read."""
    c, now = t.orders.c, _now(connection)
    late = _due_before(t, now, overdue)
    first = connection.execute(
        sa.select(c.account, c.kind, c.order_id, c.due_at).where(late).order_by(c.due_at).limit(1)
    ).first()
    count, old = sa.func.count(), c.updated_at <= rows.micros(now - dt.timedelta(seconds=waiting))
    doubted = connection.execute(
        sa.select(c.state, c.contradicted, count, sa.func.sum(sa.case((old, 1), else_=0)))
        .where(sa.text(PARTS["updated_at"]))
        .group_by(c.state, c.contradicted)
    ).all()
    given_up = connection.scalar(sa.select(count).where(_given_up(t, now), old, sa.not_(c.contradicted))) or 0
    swept = connection.scalar(sa.select(t.settings.c.value).where(t.settings.c.name == SWEPT))
    return Health(
        at=now,
        overdue=connection.scalar(sa.select(count).where(late)) or 0,
        oldest=Key(*first[:3]) if first else None,
        oldest_due_at=rows.moment(first.due_at) if first else None,
        unknown=sum(number for state, _, number, _ in doubted if state == State.UNKNOWN),
        needs_attention=sum(number for state, _, number, _ in doubted if state == State.NEEDS_ATTENTION),
        contradicted=sum(number for _, contradicted, number, _ in doubted if contradicted),
        waiting=sum(number for _, _, _, number in doubted) + given_up,
        swept_at=rows.moment(int(swept)) if swept else None,
    )


def search(connection: sa.Connection, t: Tables, read: Read, wanted: OrderFilter, limit: int) -> tuple[Record, ...]:
    """Return the orders that fit, the newest first."""
    c = t.orders.c
    fits = []
    if wanted.provider_id is not None:
        fits.append(c.provider_id == wanted.provider_id)
    if wanted.tail is not None:
        fits.append(c.tail == wanted.tail)
    if wanted.amount is not None:
        fits += [c.amount == rows.digits(wanted.amount), c.currency == wanted.amount.currency]
    if wanted.day is not None:
        start = dt.datetime.combine(wanted.day, dt.time(), dt.UTC)
        fits.append(c.created_at.between(rows.micros(start), (rows.micros(start + dt.timedelta(days=1)) or 0) - 1))
    query = sa.select(t.orders).where(*fits).order_by(c.id.desc()).limit(limit)
    return tuple(read(connection.execute(query)))


def story(connection: sa.Connection, t: Tables, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
    """Return every order with this order_id and all that happened to them, in order."""
    found = connection.execute(sa.select(t.orders).where(t.orders.c.order_id == order_id)).all()
    records = {row.id: rows.record(row) for row in found}
    entries: list[Entry] = []
    for table, read in (
        (t.exchanges, rows.exchange),
        (t.evidence, rows.evidence),
        (t.acts, rows.act),
        (t.attempts, rows.attempt),
    ):
        happened = connection.execute(sa.select(table).where(table.c.order.in_(records)).order_by(table.c.id))
        entries += [read(records[row.order].facts.key, row) for row in happened]
    entries += [each.entry for each in notifications(connection, t, None, order_id, None)]
    return tuple(records.values()), tuple(sorted(entries, key=lambda entry: entry.at))


def exchanges(connection: sa.Connection, t: Tables, limit: int, after: int | None) -> tuple[tuple[int, Entry], ...]:
    """Return exchanges with their numbers, in order: the newest, or those after a number."""
    e, o = t.exchanges, t.orders
    query = sa.select(e, o.c.account, o.c.kind, o.c.order_id).join(o, o.c.id == e.c.order)
    if after is None:
        found = connection.execute(query.order_by(e.c.id.desc()).limit(limit)).all()[::-1]
    else:
        found = connection.execute(query.where(e.c.id > after).order_by(e.c.id).limit(limit)).all()
    return tuple((row.id, rows.exchange(Key(row.account, row.kind, row.order_id), row)) for row in found)


def notifications(
    connection: sa.Connection, t: Tables, limit: int | None, order_id: str | None, number: int | None
) -> tuple[StoredNotification, ...]:
    """Return notifications, the newest first: all, or those of an order_id, or the one with a number."""
    c = t.notifications.c
    asked = [column == value for column, value in ((c.order_id, order_id), (c.id, number)) if value is not None]
    query = sa.select(t.notifications).where(*asked).order_by(c.id.desc()).limit(limit)
    return tuple(map(rows.notification, connection.execute(query)))
