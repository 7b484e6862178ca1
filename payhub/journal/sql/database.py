"""The database of a journal: its transactions, the version of its tables, and what a fork does to its connections."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from payhub.errors import JournalFailed
from payhub.journal import forks
from payhub.journal.sql.engine import BEGIN, FILES, READS, FileId, Files, files_at, open_engine
from payhub.journal.sql.migrate import check, is_current, refuse_dropped, upgrade, version
from payhub.journal.sql.note import Mark, Note, compare
from payhub.journal.sql.postgresql import FOR_TRANSACTION, POOLED, take_time
from payhub.journal.sql.statements import Statements
from payhub.journal.sql.tables import tables
from payhub.masking import HiddenText

_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,20}", re.ASCII)
_DRIVERS = {("sqlite", "pysqlite"), ("postgresql", "psycopg")}
_NEEDED = "sqlite:///… (three slashes) or postgresql+psycopg://… is needed"
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_TABLE = "42P01"
_READ_ONLY = "25006"
_TURN_WITHIN = 30.0  # seconds; one that has its turn waits ten for other processes
_NOTED = "payhub_noted"  # in the info of a connection: it leads to the journal that was begun


class _FileReplaced(Exception):
    """SQLite's file, or one of those beside it, is not the one that was opened."""


class Database:
    """A database that any number of processes and threads may share, opened for one journal."""

    def __init__(self, url: str, prefix: str, note: Note | None = None) -> None:
        """Prepare the connections; nothing is connected to or created yet.

        With a `note` a journal that it knows is not made anew.

        Raises:
            JournalFailed: the URL or the prefix cannot be used.
        """
        if not _PREFIX.fullmatch(prefix):
            raise JournalFailed("journal.prefix: lower-case letters, digits and underscores")
        self._url = HiddenText(url)
        self.note = note or Note()
        try:
            self.engine = open_engine(self._url)
        except (SQLAlchemyError, ImportError) as cause:
            raise JournalFailed(f"journal.url: {type(cause).__name__}: {_NEEDED}") from cause
        dialect = self.engine.dialect
        if dialect.is_async or (dialect.name, dialect.driver) not in _DRIVERS:
            raise JournalFailed(f"journal.url: {_NEEDED}")
        if isinstance(self.engine.pool, sa.pool.SingletonThreadPool):  # each thread would have a journal of its own
            raise JournalFailed("journal.url: SQLite needs a file; to keep orders in memory, leave it out")
        self.prefix = prefix
        self._statements = Statements.of(tables(prefix), self.engine.dialect)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        self.errors = (SQLAlchemyError, self._driver_error)
        self.integrity_error: type[Exception] = self.engine.dialect.loaded_dbapi.IntegrityError
        # SQLite has one writer. A thread that waits for it in SQLite sleeps and tries again; one that waits for this
        # lock is woken up.
        self._lock = threading.Lock()
        self._kept: sa.PoolProxiedConnection | None = None  # SQLite's, for whoever has its turn: a pool takes longer
        self._ready = False
        self._file: FileId = None  # that the journal was found in
        self._process: int | None = None  # that the connections belong to
        if self.is_sqlite:
            forks.register(self)

    @contextlib.contextmanager
    def cursor(self, *, reads_only: bool = False, noted: bool = False) -> Iterator[Any]:
        """Open a transaction, and give a cursor of the database's own driver: the hot path.

        One that only reads waits for no writer. One in which an order is taken for sending is `noted`: it is the
        journal that was begun, or nothing is done.

        Raises:
            JournalFailed: nothing was changed.
        """
        with self._usable(), self._turn():
            connection, self._kept = self._kept or self.engine.raw_connection(), None
            cursor = connection.cursor()
            try:
                if self.is_sqlite and not reads_only:
                    cursor.execute(BEGIN)
                elif POOLED in connection.info:
                    cursor.execute(FOR_TRANSACTION)
                self._require_same_file(connection.info)
                if noted and not connection.info.get(_NOTED):
                    compare(self.note.read(), self.mark(cursor))
                    connection.info[_NOTED] = True
                yield cursor
                connection.commit()
                if noted:  # what is committed to a log that was just deleted nobody else ever sees
                    self._require_same_file(connection.info)
                cursor.close()  # or it keeps what it read from locked
                if self.is_sqlite:
                    self._kept = connection
            except self._driver_error as cause:
                error: Any = cause
                gone = self.engine.dialect.is_disconnect(error, connection.dbapi_connection, cursor)
                # A connection that was opened while SQLite's file was read-only stays read-only, so none is kept.
                if self.is_sqlite or gone:
                    cursor.close()  # or it keeps SQLite's file open
                    connection.invalidate(cause)
                raise
            finally:
                if connection is not self._kept:
                    connection.close()  # the pool rolls back what was not committed

    @contextlib.contextmanager
    def connection(self, *, reads_only: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction; one that only reads waits for no writer, and SQLite's file may be read-only.

        Raises:
            JournalFailed: nothing was changed.
        """
        engine = self.engine.execution_options(**READS) if reads_only else self.engine
        with self._usable(), self._turn(), engine.begin() as connection:
            self._require_same_file(connection.info)
            take_time(connection)
            yield connection

    @contextlib.contextmanager
    def connection_as_it_is(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads, whatever tables there are; the database's own errors are raised."""
        with self._turn(), self.engine.execution_options(**READS).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def as_it_is(self) -> Iterator[tuple[sa.Connection, Mark, JournalFailed | None]]:
        """Open a transaction in the journal that is there, whatever was noted, and make its tables where it has none.

        It is given with its mark, and with what is said of tables that were dropped.

        Raises:
            JournalFailed: nothing was changed.
        """
        try:
            with self._turn():
                dropped = None
                try:
                    with self.engine.connect() as connection:
                        refuse_dropped(connection, self.prefix)
                except JournalFailed as cause:
                    dropped = cause
                upgrade(self.engine, self.prefix, anew=True)
                with self.engine.begin() as connection:
                    yield connection, self.mark(connection.connection.cursor()), dropped
        except self.errors as cause:
            raise JournalFailed(f"the journal failed: {_complaint(cause)}") from cause

    def empty_log(self) -> None:
        """Write SQLite's log back into its file and empty it: what was deleted is in neither then."""
        if self.is_sqlite:
            with self._usable(), self._turn(), contextlib.closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def has_tables(self) -> bool:
        """Tell whether there are tables, of whatever version; a database that cannot be read may have some."""
        try:
            with self.connection_as_it_is() as connection:
                return version(connection, self.prefix) is not None
        except (*self.errors, JournalFailed):
            return True

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Look at the tables on first use, create SQLite's, and raise one kind of error for whatever fails."""
        try:
            if self._process != os.getpid():
                self._enter_process()
            if not self._ready:
                if self.is_sqlite and self._files_now().main is None:
                    compare(self.note.read(), None)  # before SQLite makes a file
                with self.connection_as_it_is() as connection:  # a file of this version may be read-only
                    current = is_current(connection, self.prefix)
                if not current:
                    noted = self.note.read()
                    if noted is not None and not self.has_tables():
                        compare(noted, None)  # tables that were begun are not made anew
                    with self._turn():
                        (upgrade if self.is_sqlite else check)(self.engine, self.prefix)
                self._file = self._files_now().main
                self._ready = True
                with self.cursor(reads_only=True) as cursor:
                    self.note.see(self.mark(cursor))
            yield
        except _FileReplaced as cause:
            self._ready = False
            self.engine.dispose()
            raise JournalFailed(
                "the journal failed: its file, or the log beside it, was deleted or replaced while it was in use; "
                "nothing was sent"
            ) from cause
        except self.errors as cause:
            if _sqlstate(cause) == _READ_ONLY:  # a standby by now: where the address leads today is looked up anew
                self.engine.dispose()
            raise JournalFailed(f"the journal failed: {_complaint(cause)}") from cause
        except UnicodeEncodeError as cause:
            raise JournalFailed(
                "the journal failed: a text has half a character in it, which nothing can keep"
            ) from cause

    def mark(self, cursor: Any) -> Mark:
        """Return which journal this is, and how far it has come."""
        return Mark(*self._statements.mark.run(cursor, {}).fetchone())

    def _files_now(self) -> Files:
        """Return which files SQLite's path leads to now."""
        return files_at(self.engine.url.database if self.is_sqlite else None)

    def _require_same_file(self, connected_to: Mapping[Any, Any]) -> None:
        """Refuse to go on in files that are not, or not any more, where others look for them.

        When this process has closed the file elsewhere, its locks are gone (POSIX), and whoever is done with the
        file next deletes the log, into which this connection would go on writing.

        Raises:
            _FileReplaced: one was deleted, or another one has its place.
        """
        if self.is_sqlite:
            opened: Files = connected_to[FILES]
            if opened.main != self._file or opened != self._files_now():
                raise _FileReplaced

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for this thread's turn to use SQLite.

        Raises:
            JournalFailed: too many others have theirs first.
        """
        if not self.is_sqlite:
            yield
            return
        if not self._lock.acquire(timeout=_TURN_WITHIN):
            raise JournalFailed(f"the journal failed: other threads have used it for {_TURN_WITHIN:g} seconds")
        try:
            yield
        finally:
            self._lock.release()

    def _enter_process(self) -> None:
        """Begin in this process: what another process has opened is neither used here nor closed.

        Raises:
            JournalFailed: SQLite's file was open when this process was forked, unknown to Python.
        """
        if self._process is not None:
            if self.is_sqlite:
                raise JournalFailed(
                    "the journal failed: this process was forked by other means than Python's while SQLite's file was "
                    "open: open the hub after the fork"
                )
            self._inherited, self.engine = self.engine, open_engine(self._url)  # kept, so that nothing closes it
        self._process = os.getpid()

    def pause(self) -> bool:
        """Close SQLite's file before this process forks; a thread that uses it finishes first."""
        if not self._lock.acquire(timeout=forks.PATIENCE):
            return False
        with contextlib.suppress(*self.errors):
            self._disconnect()
            self._process = None
        return True

    def resume(self) -> None:
        """Let the parent and the child open the file again, each for itself."""
        self._lock.release()

    def close(self) -> None:
        """Close the connections; those that a fork has copied from another process are not closed here."""
        if self._process in {None, os.getpid()}:
            self.note.flush()
            with self._turn():
                self._disconnect()

    def _disconnect(self) -> None:
        """Close the connections, for whom it is the turn."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self.engine.dispose()


def _sqlstate(cause: Exception) -> str | None:
    return getattr(getattr(cause, "orig", None) or cause, "sqlstate", None)


def _complaint(cause: Exception) -> str:
    """Return what the database complains of; its first line quotes no parameter (`hide_parameters`)."""
    original = getattr(cause, "orig", None) or cause
    if _sqlstate(cause) == _NO_TABLE:
        return "it has no tables; make them: payhub journal init"
    if _sqlstate(cause) == _READ_ONLY:
        return "its database takes no writes: it is a standby, or was made read-only; the next call connects anew"
    text = str(original).splitlines()[0] if str(original) else ""
    gone = "; payhub journal init names the tables that are gone" if text.startswith("no such table") else ""
    return f"{type(original).__name__}: {text}{gone}"
