"""Keep a journal in SQLite or PostgreSQL, in the application's own database.

Every method is one transaction. SQLite is opened for durability (WAL, synchronous=FULL) and every
transaction that may write takes the write lock at its beginning; PostgreSQL locks the order's row. After a fork
each process has connections of its own.
"""

import contextlib
import datetime as dt
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from payhub.driver import Schedule
from payhub.errors import ConfigurationError, JournalFailed
from payhub.journal import Noticed, Opened, Seal, forks
from payhub.journal.records import (
    Entry,
    Facts,
    Forgotten,
    Key,
    Noted,
    Notice,
    Record,
    Verdict,
    Wanted,
    applied,
    conflict,
    givable,
    heard_of,
    hint,
    notified,
    sending,
    verdict,
    weighed,
)
from payhub.journal.sql import queries, retention, rows
from payhub.journal.sql.engine import BEGIN, READS, open_engine
from payhub.journal.sql.migrate import check, is_current, upgrade, version
from payhub.journal.sql.statements import OrderRow, Statements
from payhub.journal.sql.tables import tables
from payhub.journal.states import Evidence, Source, State
from payhub.masking import HiddenText
from payhub.models import Exchange

T = TypeVar("T")

_NEEDED = "sqlite:///… (three slashes) or postgresql+psycopg://… is needed"
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,20}", re.ASCII)


class SqlJournal:
    """Keep orders in a database that any number of processes may share."""

    def __init__(self, url: str, prefix: str = "payhub_", seal: Seal | None = None) -> None:
        """Prepare the connection; SQLite's tables are created on first use.

        Whoever creates orders gives the `seal` of his key: of another key than the first one's no order is taken.

        Raises:
            JournalFailed: the URL or the prefix cannot be used.
        """
        if not _PREFIX.fullmatch(prefix):
            raise JournalFailed("journal.prefix: lower-case letters, digits and underscores")
        url = HiddenText(url)
        try:
            self.engine = open_engine(url)
        except (SQLAlchemyError, ImportError) as cause:
            raise JournalFailed(f"journal.url: {type(cause).__name__}: {_NEEDED}") from cause
        if self.engine.dialect.name not in {"sqlite", "postgresql"}:
            raise JournalFailed(f"journal.url: {_NEEDED}")
        if isinstance(self.engine.pool, sa.pool.SingletonThreadPool):  # each thread would have a journal of its own
            raise JournalFailed("journal.url: SQLite needs a file; to keep orders in memory, leave it out")
        self.prefix = prefix
        self._url = url
        self._seal = seal
        self._t = tables(prefix)
        self._s = Statements(self._t, self.engine.dialect)
        self._driver = self.engine.dialect.loaded_dbapi
        sqlite = self.engine.dialect.name == "sqlite"
        self._begin = BEGIN if sqlite else None
        # SQLite has one writer: who waits for it in SQLite sleeps, who waits for it here is woken up.
        self._lock = threading.Lock()
        self._turn: AbstractContextManager[Any] = self._lock if sqlite else contextlib.nullcontext()
        self._kept: tuple[sa.Pool, sa.PoolProxiedConnection] | None = None
        self._ready = False
        self._process: int | None = None  # the one that the connections belong to
        if sqlite:
            forks.watch(self)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Look at the tables on first use, make SQLite's, and say in one kind of error what fails."""
        try:
            if self._process != os.getpid():
                self._arrive()
            if not self._ready:
                with self._turn:
                    with self._reading().begin() as connection:  # a file that is of this version may be read-only
                        current = is_current(connection, self.prefix)
                    if not current:
                        (upgrade if self._begin else check)(self.engine, self.prefix)
                self._ready = True
            yield
        except (SQLAlchemyError, self._driver.Error) as cause:
            raise JournalFailed(f"the journal failed: {_cause(cause)}") from cause

    def begun(self) -> bool:
        """Tell whether there are tables, of whatever version; nothing is made, and what cannot be read may be one."""
        try:
            with self._turn, self._reading().begin() as connection:
                return version(connection, self.prefix) is not None
        except (SQLAlchemyError, self._driver.Error):
            return True

    def sealed(self) -> bool:
        """Tell whether this journal was begun with a key; one that cannot be read, or is not there, was not."""
        file = self.engine.url.database if self._begin else None
        if file and not Path(file).exists():
            return False
        try:
            with self._turn, self._reading().begin() as connection:
                return connection.execute(sa.select(self._t.settings.c.value)).first() is not None
        except (SQLAlchemyError, self._driver.Error):
            return False

    def _look(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work that only reads, in a transaction that waits for no writer: the file may be read-only."""
        with self._usable(), self._turn, self._reading().begin() as connection:
            return work(connection)

    def _arrive(self) -> None:
        """Begin in this process: what another one has opened is neither used here nor closed.

        Raises:
            JournalFailed: SQLite was in use, and whoever forked did not let it close the file before.
        """
        if self._process is not None:
            if self._begin:
                raise JournalFailed(
                    "the journal failed: this process was forked by other means than Python's while SQLite's file was "
                    "open: open the hub after the fork"
                )
            self._left, self.engine = self.engine, open_engine(self._url)
        self._process = os.getpid()

    def pause(self) -> bool:
        """Close SQLite's file before this process forks; whoever is at work finishes first."""
        if not self._lock.acquire(timeout=forks.PATIENCE):
            return False
        with contextlib.suppress(SQLAlchemyError, self._driver.Error):
            self._let_go()
            self._process = None
        return True

    def resume(self) -> None:
        """Let the parent and the child open the file again, each for itself."""
        self._lock.release()

    def _reading(self) -> sa.Engine:
        return self.engine.execution_options(**READS)

    def _do(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work in a transaction."""
        with self._usable(), self._turn, self.engine.begin() as connection:
            return work(connection)

    def _run(self, work: Callable[[Any], T]) -> T:
        """Do work in a transaction, with a cursor of the database's own driver: the hot path."""
        with self._usable(), self._turn:
            connection = self._borrowed()
            cursor = connection.cursor()
            try:
                if self._begin:
                    cursor.execute(self._begin)
                done = work(cursor)
                connection.commit()
            except BaseException as cause:
                self._give_back(connection, cause, cursor)
                raise
            if not self._begin:
                connection.close()
            return done

    def _borrowed(self) -> sa.PoolProxiedConnection:
        """Borrow a connection; SQLite's is kept for the next turn, for borrowing one takes as long as a statement."""
        if not self._begin:
            return self.engine.raw_connection()
        if self._kept is not None and self._kept[0] is not self.engine.pool:  # disposed of
            self._kept[1].invalidate()
            self._kept = None
        if self._kept is None:
            self._kept = self.engine.pool, self.engine.raw_connection()
        return self._kept[1]

    def _give_back(self, connection: sa.PoolProxiedConnection, cause: BaseException, cursor: Any) -> None:
        """Give back a connection that has failed: the pool rolls back, and drops what is of no use any more.

        SQLite's is dropped in any case: one that was opened while the file was read-only stays so.
        """
        self._kept = None
        if isinstance(cause, self._driver.Error):
            dialect, gone = self.engine.dialect, connection.dbapi_connection
            if self._begin or dialect.is_disconnect(cause, gone, cursor):
                cursor.close()  # it would keep SQLite's file open
                connection.invalidate(cause)
        connection.close()

    def open(self, facts: Facts, lease: float) -> Opened:
        """Reserve an order and take it for sending.

        Raises:
            ConfigurationError: the key is another one, and the order was not sent; one that was is of unknown outcome.
        """
        if wrong := self._unsealed():
            return self._doubted(facts.key, wrong)
        return self._run(lambda cursor: self._open(cursor, facts, lease))

    def _unsealed(self) -> str | None:
        """Return what is wrong with the key, if this journal was begun with another one; the first is its key."""
        seal = self._seal  # another thread may have seen that it is right
        if seal is None:
            return None
        kept = {"name": "key", "value": str(seal.value)}

        def begun(cursor: Any) -> Any:
            self._s.begin.run(cursor, kept)
            return self._s.begun.run(cursor, {"name": "key"}).fetchone()[0]

        if self._run(begun) == seal.value:
            self._seal = None  # seen once
            return None
        return (
            "journal.key: it is not the key that this journal was begun with, so no order can be compared with those "
            f"that were sent: bring that key back; it is looked for in {seal.place}"
        )

    def _doubted(self, key: Key, wrong: str) -> Opened:
        """Return that nobody knows what became of an order; refuse one of which it is known that it was not sent."""
        record = self.find(key)
        if record is None or givable(record):
            raise ConfigurationError(wrong)
        return Opened(msgspec.structs.replace(record, state=State.UNKNOWN, reason=wrong), yours=False)

    def _open(self, cursor: Any, facts: Facts, lease: float) -> Opened:
        now = _now()
        record = Record(facts=facts, state=State.NEW, created_at=now, updated_at=now)
        begun = rows.begun(record)
        made = self._s.reserve(tuple(begun)).run(cursor, begun).fetchone()
        row, record = (made[0], record) if made else self._locked(cursor, facts.key)
        if record.facts.fingerprint != facts.fingerprint:
            raise conflict(facts.key)
        if made and self._s.waiting.run(cursor, facts.key._asdict()).fetchone():
            record = self._updated(cursor, row, record, heard_of(record, _now()))
        if not givable(record):
            return Opened(record, yours=False)
        record = self._updated(cursor, row, record, sending(record, _now(), lease))
        at, until = rows.micros(record.updated_at), rows.micros(record.lease_until)
        self._s.attempt.run(cursor, {"order": row, "at": at, "number": record.attempts, "lease_until": until})
        return Opened(record, yours=True)

    def settle(
        self,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchanges: Sequence[Exchange] = (),
        *,
        by: str | None = None,
    ) -> Record:
        """Keep evidence and apply it where the state machine allows it."""
        return self._run(lambda cursor: self._settle(cursor, key, found, schedule, exchanges, by))

    def _settle(
        self,
        cursor: Any,
        key: Key,
        found: Evidence,
        schedule: Schedule,
        exchanges: Sequence[Exchange],
        by: str | None,
    ) -> Record:
        row, record = self._locked(cursor, key)
        now = _now()  # in the order in which transactions take effect
        after, contradicts = applied(record, found, now, schedule)
        record = self._updated(cursor, row, record, after)
        for exchange in exchanges:
            kept = msgspec.structs.replace(exchange, attempt=record.attempts)
            at, body = rows.micros(exchange.started_at), rows.written(kept)
            self._s.exchange.run(cursor, {"order": row, "at": at, "body": body})
        if by is not None:
            self._s.act.run(cursor, {"order": row, "at": rows.micros(now), "by": by, "body": rows.written(found)})
        else:
            self._keep(cursor, row, found, now, contradicts=contradicts)
        return record

    def _keep(self, cursor: Any, row: int, found: Evidence, now: dt.datetime, *, contradicts: bool) -> None:
        """Keep evidence; what says the same as the newest only counts, so that repeats take no room."""
        body, at = rows.written(found), rows.micros(now)
        again = found.source is not Source.ANSWER  # a create is answered once: spare the hot path the question
        newest = self._s.newest.run(cursor, {"row": row}).fetchone() if again else None
        if newest is not None and newest[1:] == (body, contradicts):
            self._s.again.run(cursor, {"row": newest[0], "now": at})
            return
        kept = {"order": row, "at": at, "last_at": at, "body": body, "contradicts": contradicts, "times": 1}
        self._s.evidence.run(cursor, kept)

    def _locked(self, cursor: Any, key: Key) -> tuple[int, Record]:
        """Read an order and keep others from changing it until the transaction ends."""
        row, record = self._known(cursor, key)
        if record is None:
            raise JournalFailed("the journal does not know this order")
        return row, record

    def _known(self, cursor: Any, key: Key) -> tuple[int, Record | None]:
        found = self._s.lock.run(cursor, key._asdict()).fetchone()
        row: Any = OrderRow(*found) if found else None
        return (row.id, rows.record(row)) if row else (0, None)

    def _updated(self, cursor: Any, row: int, before: Record, after: Record) -> Record:
        if news := rows.changed(before, after):
            self._s.update(tuple(news)).run(cursor, {"row": row, **news})
        return after

    def notice(self, notice: Notice, window: float, lease: float, *, anew: bool = False) -> Noticed:
        """Keep a notification, and make its order due."""
        return self._run(lambda cursor: self._notice(cursor, notice, window, lease, anew=anew))

    def _notice(self, cursor: Any, notice: Notice, window: float, lease: float, *, anew: bool) -> Noticed:
        row, record = self._known(cursor, notice.key)  # first, as everywhere: two who lock in turns wait for each other
        now = _now()
        found = hint(record, notice, anew=anew)
        at = rows.micros(now)
        kept = {**notice.key._asdict(), "digest": notice.digest, "body": rows.written(notice), "verdict": found}
        new = self._s.note.run(cursor, {**kept, "times": 1, "at": at, "last_at": at}).fetchone() is not None
        times = 1
        if not new:
            came = {"more": 0, "now": None, "anew": found} if anew else {"more": 1, "now": at, "anew": None}
            again = {"account": notice.account, "digest": notice.digest, **came}
            times, known = self._s.note_again.run(cursor, again).fetchone()
            found = Verdict(known)
        if record is None or found is not Verdict.WAITING:
            return Noticed(times, record, ask=False)
        after, ask = notified(record, now, window, lease, new=new or anew)
        return Noticed(times, self._updated(cursor, row, record, after), ask)

    def weigh(self, key: Key, asked_at: dt.datetime) -> Record:
        """Give the notifications that wait their verdict."""
        return self._run(lambda cursor: self._weigh(cursor, key, rows.micros(asked_at) or 0))

    def _weigh(self, cursor: Any, key: Key, asked_at: int) -> Record:
        row, record = self._locked(cursor, key)
        verdicts: list[Verdict] = []
        for number, body, last_at in self._s.waiting.run(cursor, key._asdict()).fetchall():
            verdicts.append(verdict(record, rows.notice(body)) if last_at <= asked_at else Verdict.WAITING)
            self._s.judge.run(cursor, {"number": number, "verdict": verdicts[-1]})
        return self._updated(cursor, row, record, weighed(record, verdicts))

    def find(self, key: Key) -> Record | None:
        """Return what is known of an order."""
        found = self._run(lambda cursor: self._s.find.run(cursor, key._asdict()).fetchone())
        return rows.record(OrderRow(*found)) if found else None

    def claim(self, limit: int, lease: float, due: dt.datetime | None = None) -> tuple[Record, ...]:
        """Take orders that are due; PostgreSQL skips those that another process is taking."""
        return self._run(lambda cursor: self._claim(cursor, limit, lease, due))

    def _claim(self, cursor: Any, limit: int, lease: float, due: dt.datetime | None) -> tuple[Record, ...]:
        now = _now()
        found = self._s.due.run(cursor, {"due": rows.micros(due or now), "limit": limit}).fetchall()
        taken: list[Any] = [OrderRow(*row) for row in found]
        for row in taken:
            self._s.take.run(cursor, {"row": row.id, "until": rows.micros(now + dt.timedelta(seconds=lease))})
        return tuple(map(rows.record, taken))

    def unsettled(self, older: float, limit: int) -> tuple[Record, ...]:
        """Return orders that wait for a person."""
        return self._look(lambda connection: queries.unsettled(connection, self._t, older, limit))

    def pace(self, account: str, interval: float, patience: float) -> float | None:
        """Reserve the account's next free instant."""
        if patience < 0:
            return None
        given = {"account": account, "interval": math.ceil(interval * _MICROS), "patience": int(patience * _MICROS)}

        def reserve(cursor: Any) -> Any:
            now = {"now": rows.micros(_now())} if self._begin else {}  # PostgreSQL reads its own clock
            return self._s.pace.run(cursor, {**given, **now}).fetchone()

        reserved = self._run(reserve)
        return max(reserved[0], 0) / _MICROS if reserved else None

    def search(self, wanted: Wanted, limit: int) -> tuple[Record, ...]:
        """Return the orders that fit, the newest first."""
        return self._look(lambda connection: queries.search(connection, self._t, wanted, limit))

    def story(self, order_id: str) -> tuple[tuple[Record, ...], tuple[Entry, ...]]:
        """Return every order with this order_id and all that happened to them."""
        return self._look(lambda connection: queries.story(connection, self._t, order_id))

    def exchanges(self, limit: int, *, after: int | None = None) -> tuple[tuple[int, Entry], ...]:
        """Return exchanges with their numbers, in order: the newest, or those after a number."""
        return self._look(lambda connection: queries.exchanges(connection, self._t, limit, after))

    def notices(self, limit: int, *, order_id: str | None = None, number: int | None = None) -> tuple[Noted, ...]:
        """Return notifications, the newest first."""
        return self._look(lambda connection: queries.notices(connection, self._t, limit, order_id, number))

    def prune(self, before: dt.datetime, limit: int) -> int:
        """Delete exchanges from before a time, of orders that are closed."""
        return self._do(lambda connection: retention.prune(connection, self._t, before, limit))

    def forget(self, payer: str) -> Forgotten:
        """Keep of a payer's closed orders nothing but the money facts; of SQLite's log nothing is left either.

        Raises:
            ConfigurationError: the key is another one, by which no payer would be found.
        """
        if wrong := self._unsealed():
            raise ConfigurationError(wrong)
        forgotten = self._do(lambda connection: retention.forget(connection, self._t, payer))
        if self._begin:
            with self._usable(), self._turn, contextlib.closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return forgotten

    def close(self) -> None:
        """Let go of connections; those of another process, which a fork has copied, are not closed here."""
        if self._process in {None, os.getpid()}:
            with self._turn:
                self._let_go()

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None
        self.engine.dispose()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _cause(cause: Exception) -> str:
    """Name the database's complaint; its first line quotes no parameter (`hide_parameters`)."""
    original = getattr(cause, "orig", None) or cause
    if getattr(original, "sqlstate", None) == _NO_TABLE:
        return "it has no tables; make them: payhub journal init"
    text = str(original).splitlines()[0] if str(original) else ""
    gone = "; payhub journal init names the tables that are gone" if text.startswith("no such table") else ""
    return f"{type(original).__name__}: {text}{gone}"


_MICROS = 1_000_000
_NO_TABLE = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
