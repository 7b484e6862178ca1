"""Keep a journal in SQLite or PostgreSQL, in the application's own database.

Every method is one transaction. SQLite is opened for durability (WAL, synchronous=FULL) and every
transaction takes the write lock at its beginning; PostgreSQL locks the order's row.
"""

import datetime as dt
import re
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
import tenacity
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from payhub.driver import Schedule
from payhub.journal import JournalFailed, Opened
from payhub.journal.memory import UNSETTLED, conflict, sending
from payhub.journal.migrate import upgrade
from payhub.journal.records import Entry, Facts, Key, Record, applied
from payhub.journal.states import Evidence, Source, State
from payhub.journal.tables import Tables, tables
from payhub.models import Exchange
from payhub.money import Money

T = TypeVar("T")

_CHANGING = (
    "state",
    "provider_id",
    "provider_status",
    "paid",
    "credited",
    "commission",
    "partial",
    "reason",
    "mismatches",
    "redirect_url",
    "contradicted",
    "attempts",
    "checks",
    "lease_until",
    "due_at",
    "created_at",
    "updated_at",
)
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,20}", re.ASCII)
_DIGITS = 18


class _Statements:
    """Hold the statements of a hot path, built once: building them costs more than running them."""

    def __init__(self, t: Tables) -> None:
        orders, evidence = t.orders, t.evidence
        param, c = sa.bindparam, orders.c
        named = sa.and_(c.account == param("account"), c.kind == param("kind"), c.order_id == param("order_id"))
        changing: dict[str, Any] = {name: param(name) for name in _CHANGING}
        said = sa.select(evidence.c.id, evidence.c.body, evidence.c.contradicts)
        self.find = sa.select(orders).where(named)
        self.lock = self.find.with_for_update()
        self.reserve = orders.insert()
        self.update = orders.update().where(c.id == param("row")).values(changing)
        self.attempt = t.attempts.insert()
        self.exchange = t.exchanges.insert()
        self.act = t.acts.insert()
        self.evidence = evidence.insert()
        self.newest = said.where(evidence.c.order == param("row")).order_by(evidence.c.id.desc()).limit(1)
        self.again = (
            evidence.update()
            .where(evidence.c.id == param("row"))
            .values(times=evidence.c.times + 1, last_at=param("now"))
        )


class SqlJournal:
    """Keep orders in a database that any number of processes may share."""

    def __init__(self, url: str, prefix: str = "payhub_") -> None:
        """Prepare the connection; SQLite's tables are created on first use.

        Raises:
            JournalFailed: the URL or the prefix cannot be used.
        """
        if not _PREFIX.fullmatch(prefix):
            raise JournalFailed("journal.prefix: lower-case letters, digits and underscores")
        try:
            self.engine = _engine(url)
        except (SQLAlchemyError, ImportError) as cause:
            raise JournalFailed(f"journal.url: {type(cause).__name__}: not a database that can be used") from cause
        if self.engine.dialect.name not in {"sqlite", "postgresql"}:
            raise JournalFailed("journal.url: sqlite:///… or postgresql+psycopg://… is needed")
        if isinstance(self.engine.pool, sa.pool.SingletonThreadPool):  # each thread would have a journal of its own
            raise JournalFailed("journal.url: SQLite needs a file; to keep orders in memory, leave it out")
        self.prefix = prefix
        self._t = tables(prefix)
        self._s = _Statements(self._t)
        self._ready = self.engine.dialect.name != "sqlite"

    def _do(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            if not self._ready:
                upgrade(self.engine, self.prefix)
                self._ready = True
            with self.engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as cause:
            raise JournalFailed(f"the journal failed: {_cause(cause)}") from cause

    def open(self, facts: Facts, lease: float) -> Opened:
        """Reserve an order and take it for sending."""
        try:
            return self._do(lambda connection: self._open(connection, facts, lease))
        except JournalFailed as failed:
            if not isinstance(failed.__cause__, IntegrityError):
                raise
        return self._do(lambda connection: self._open(connection, facts, lease))  # another process was first

    def _open(self, connection: sa.Connection, facts: Facts, lease: float) -> Opened:
        row, record = self._locked(connection, facts.key)
        now = _now()
        if record is None:
            record = Record(facts=facts, state=State.NEW, created_at=now, updated_at=now)
            inserted = connection.execute(self._s.reserve, _facts(facts) | _columns(record))
            row = inserted.inserted_primary_key[0]  # type: ignore[index]  # there is one: the table has a key
        elif record.facts.fingerprint != facts.fingerprint:
            raise conflict(facts.key)
        if record.state not in {State.NEW, State.NOT_SENT}:
            return Opened(record, yours=False)
        record = sending(record, now, lease)
        self._update(connection, row, record)
        until = _micros(record.lease_until)
        attempt = {"order": row, "at": _micros(now), "number": record.attempts, "lease_until": until}
        connection.execute(self._s.attempt, attempt)
        return Opened(record, yours=True)

    def settle(
        self, key: Key, found: Evidence, schedule: Schedule, exchange: Exchange | None = None, *, by: str | None = None
    ) -> Record:
        """Keep evidence and apply it where the state machine allows it."""
        return self._do(lambda connection: self._settle(connection, key, found, schedule, exchange, by))

    def _settle(
        self,
        connection: sa.Connection,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchange: Exchange | None,
        by: str | None,
    ) -> Record:
        row, record = self._locked(connection, key)
        now = _now()  # in the order in which transactions take effect
        if record is None:
            raise JournalFailed("the journal does not know this order")
        record, contradicts = applied(record, found, now, schedule)
        self._update(connection, row, record)
        if exchange is not None:
            kept = {"order": row, "at": _micros(exchange.started_at), "body": _written(exchange)}
            connection.execute(self._s.exchange, kept)
        if by is not None:
            act = {"order": row, "at": _micros(now), "by": by, "body": _written(found)}
            connection.execute(self._s.act, act)
        else:
            self._keep(connection, row, found, now, contradicts=contradicts)
        return record

    def _keep(
        self, connection: sa.Connection, row: int, found: Evidence, now: dt.datetime, *, contradicts: bool
    ) -> None:
        """Keep evidence; what says the same as the newest only counts, so that repeats take no room."""
        body, at = _written(found), _micros(now)
        again = found.source is not Source.ANSWER  # a create is answered once: spare the hot path the question
        last = connection.execute(self._s.newest, {"row": row}).first() if again else None
        if last is not None and (last.body, last.contradicts) == (body, contradicts):
            connection.execute(self._s.again, {"row": last.id, "now": at})
            return
        kept = {"order": row, "at": at, "last_at": at, "body": body, "contradicts": contradicts, "times": 1}
        connection.execute(self._s.evidence, kept)

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        row = self._do(lambda connection: connection.execute(self._s.find, key._asdict()).first())
        return _record(row) if row else None

    def claim(self, limit: int, lease: float) -> tuple[Record, ...]:
        """Take orders that are due; PostgreSQL skips those that another process is taking."""
        return self._do(lambda connection: self._claim(connection, limit, lease))

    def _claim(self, connection: sa.Connection, limit: int, lease: float) -> tuple[Record, ...]:
        orders, now = self._t.orders, _now()
        due = sa.select(orders).where(orders.c.due_at <= _micros(now)).order_by(orders.c.due_at).limit(limit)
        rows = connection.execute(due.with_for_update(skip_locked=True)).all()
        later = _micros(now + dt.timedelta(seconds=lease))
        if rows:
            taken = orders.update().where(orders.c.id.in_([row.id for row in rows]))
            connection.execute(taken.values(due_at=later))
        return tuple(map(_record, rows))

    def unsettled(self, older: float, limit: int) -> tuple[Record, ...]:
        """Return orders that are unknown or need attention."""
        orders, before = self._t.orders, _micros(_now() - dt.timedelta(seconds=older))
        query = (
            sa.select(orders)
            .where(orders.c.state.in_(sorted(UNSETTLED)), orders.c.updated_at <= before)
            .order_by(orders.c.updated_at)
            .limit(limit)
        )
        return tuple(map(_record, self._do(lambda connection: connection.execute(query).all())))

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them."""
        return self._do(lambda connection: self._story(connection, order_id))

    def _story(self, connection: sa.Connection, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        t = self._t
        rows = connection.execute(sa.select(t.orders).where(t.orders.c.order_id == order_id)).all()
        keys = {row.id: _record(row).facts.key for row in rows}
        entries: list[Entry] = []
        for table, read in ((t.exchanges, _exchange), (t.evidence, _evidence), (t.acts, _act), (t.attempts, _attempt)):
            found = connection.execute(sa.select(table).where(table.c.order.in_(keys)).order_by(table.c.id))
            entries += [read(keys[row.order], row) for row in found]
        return tuple(map(_record, rows)), tuple(sorted(entries, key=lambda entry: entry.at))

    def _locked(self, connection: sa.Connection, key: Key) -> tuple[int, Record | None]:
        """Read an order and keep others from changing it until the transaction ends."""
        row = connection.execute(self._s.lock, key._asdict()).first()
        return (row.id, _record(row)) if row else (0, None)

    def _update(self, connection: sa.Connection, row: int, record: Record) -> None:
        connection.execute(self._s.update, {"row": row, **_columns(record)})

    def close(self) -> None:
        """Let go of connections."""
        self.engine.dispose()


def _engine(url: str) -> sa.Engine:
    """Open a database: each dialect with what makes a commit durable."""
    engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    elif engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in (
        "busy_timeout = 10000",
        "synchronous = FULL",
        "secure_delete = ON",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
    wait=tenacity.wait_random_exponential(multiplier=0.01, max=0.5),
    stop=tenacity.stop_after_delay(10),
    reraise=True,
)
def _write_ahead(connection: Any) -> None:
    """Switch to WAL; SQLite itself does not wait where another process is just switching."""
    connection.execute("PRAGMA journal_mode = WAL")


def _prepare_postgresql(connection: Any, _: object) -> None:
    """Wait for a lock as long as with SQLite, and hold none while doing nothing: a process may be stopped."""
    connection.execute("SET lock_timeout = '10s'")
    connection.execute("SET idle_in_transaction_session_timeout = '10s'")
    connection.commit()  # else they end with the transaction


def _facts(facts: Facts) -> dict[str, Any]:
    fields = msgspec.structs.asdict(facts)
    return {**fields, "amount": f"{facts.amount.amount:f}", "currency": facts.amount.currency}


def _columns(record: Record) -> dict[str, Any]:
    """Write what changes of a record."""
    written = {
        "state": str(record.state),
        "paid": _digits(record.paid),
        "credited": _digits(record.credited),
        "commission": _digits(record.commission),
        "mismatches": ",".join(record.mismatches) or None,
        **{name: _micros(getattr(record, name)) for name in ("lease_until", "due_at", "created_at", "updated_at")},
    }
    return {name: written[name] if name in written else getattr(record, name) for name in _CHANGING}


def _record(row: Any) -> Record:
    amount = Money(row.amount, row.currency, _DIGITS)
    facts = Facts(
        account=row.account,
        provider=row.provider,
        kind=row.kind,
        order_id=row.order_id,
        amount=amount,
        method=row.method,
        fingerprint=row.fingerprint,
    )
    return Record(
        facts=facts,
        state=State(row.state),
        provider_id=row.provider_id,
        provider_status=row.provider_status,
        paid=_money(row.paid, row.currency),
        credited=_money(row.credited, row.currency),
        commission=_money(row.commission, row.currency),
        partial=row.partial,
        reason=row.reason,
        mismatches=tuple(row.mismatches.split(",")) if row.mismatches else (),
        redirect_url=row.redirect_url,
        contradicted=row.contradicted,
        attempts=row.attempts,
        checks=row.checks,
        lease_until=_time(row.lease_until),
        due_at=_time(row.due_at),
        created_at=_time(row.created_at) or _EPOCH,
        updated_at=_time(row.updated_at) or _EPOCH,
    )


def _exchange(key: Key, row: Any) -> Entry:
    exchange = msgspec.json.decode(row.body, type=Exchange)
    return Entry(at=_time(row.at) or _EPOCH, what="exchange", key=key, exchange=exchange)


def _evidence(key: Key, row: Any) -> Entry:
    found = msgspec.json.decode(row.body, type=Evidence)
    at = _time(row.at) or _EPOCH
    return Entry(at=at, what="evidence", key=key, evidence=found, contradicts=row.contradicts, times=row.times)


def _act(key: Key, row: Any) -> Entry:
    found = msgspec.json.decode(row.body, type=Evidence)
    return Entry(at=_time(row.at) or _EPOCH, what="act", key=key, evidence=found, by=row.by)


def _attempt(key: Key, row: Any) -> Entry:
    found = Evidence(source=Source.PLAN, state=State.SENDING)
    return Entry(at=_time(row.at) or _EPOCH, what="evidence", key=key, evidence=found)


def _written(struct: msgspec.Struct) -> str:
    return msgspec.json.encode(struct).decode()


def _digits(money: Money | None) -> str | None:
    return f"{money.amount:f}" if money else None


def _money(digits: str | None, currency: str) -> Money | None:
    return None if digits is None else Money(digits, currency, _DIGITS)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _micros(time: dt.datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // dt.timedelta(microseconds=1)


def _time(micros: int | None) -> dt.datetime | None:
    return None if micros is None else _EPOCH + dt.timedelta(microseconds=micros)


def _cause(cause: SQLAlchemyError) -> str:
    """Name the database's complaint; its first line quotes no parameter (`hide_parameters`)."""
    original = getattr(cause, "orig", None) or cause
    if getattr(original, "sqlstate", None) == _NO_TABLE:
        return "it has no tables; make them: payhub journal init"
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"


_NO_TABLE = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
