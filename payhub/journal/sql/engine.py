"""Open a database so that what is committed stays committed."""

import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
import tenacity
from sqlalchemy.exc import SQLAlchemyError

from payhub.files import create_private
from payhub.journal.sql import postgresql
from payhub.masking import HiddenText

# Take the write lock at once: of two transactions that both read first, neither could go on to write.
BEGIN = "BEGIN IMMEDIATE"
READS: Mapping[str, Any] = {"payhub_reads": True}
"""The execution options of an engine whose transactions only read."""

_PRAGMAS = (
    "busy_timeout = 10000",
    "synchronous = FULL",
    "wal_autocheckpoint = 4000",
    "secure_delete = ON",
    "foreign_keys = ON",
)


def placed(url: str, base: Path) -> str:
    """Return a URL with the path of SQLite's file made absolute, whatever driver opens it; leave others as they are."""
    try:
        made = sa.make_url(url)
    except SQLAlchemyError:  # the journal refuses it, and says why
        return HiddenText(url)
    if made.get_backend_name() != "sqlite" or made.database in {None, "", ":memory:"}:
        return HiddenText(url)
    absolute = made.set(database=str((base / str(made.database)).absolute()))
    return HiddenText(absolute.render_as_string(hide_password=False))


FILES = "payhub_files"
"""Where the info of a connection to SQLite has the files that it is open on."""

FileId = tuple[int, int] | None
"""A file whatever it is called: its device and its number there; nothing where a path leads nowhere."""


class Files(NamedTuple):
    """The file of SQLite's that holds a database, and the two beside it that hold what was written last."""

    main: FileId
    log: FileId
    shared: FileId


def files_at(path: str | None) -> Files:
    """Return which files a database's path leads to."""
    return Files(*(_file_id(f"{path or ''}{end}") for end in ("", "-wal", "-shm")))


def _file_id(path: str) -> FileId:
    try:
        found = os.stat(path)  # noqa: PTH116 - before every transaction: a Path takes longer
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Let a connection wait for the disk, for other writers, and overwrite what it deletes."""
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)
    connection.execute("SELECT count(*) FROM sqlite_master")  # opens the files beside it
    record.info[FILES] = files_at(connection.execute("PRAGMA database_list").fetchone()[2])


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
    wait=tenacity.wait_random_exponential(multiplier=0.01, max=0.5),
    stop=tenacity.stop_after_delay(10),
    reraise=True,
)
def _write_ahead(connection: Any) -> None:
    """Switch to the write-ahead log; SQLite itself does not wait where another process is just switching.

    A file that is read-only stays as it is: nothing can be written to it anyway.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as cause:
        if cause.sqlite_errorcode != sqlite3.SQLITE_READONLY:
            raise


def open_engine(url: str) -> sa.Engine:
    """Return an engine; its connections lose nothing that is committed, and wait for nothing without a bound."""
    style = {"paramstyle": "named"} if url.startswith("sqlite") else {"pool_pre_ping": True}
    engine = sa.create_engine(url, hide_parameters=True, logging_name="payhub", **style)
    # On DEBUG SQLAlchemy logs the rows that it reads; `hide_parameters` does not stop that.
    logging.getLogger("sqlalchemy.engine.Engine.payhub").addFilter(lambda record: record.levelno > logging.DEBUG)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)

        @sa.event.listens_for(engine, "do_connect")
        def make_private(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
            # The files beside it are made with the permissions that it has.
            if not options.get("uri"):
                create_private(Path(arguments[0]))

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:  # a transaction that only reads takes no lock
            reads = READS.items() <= connection.get_execution_options().items()
            connection.exec_driver_sql("BEGIN" if reads else BEGIN)

    elif engine.dialect.name == "postgresql":
        sa.event.listen(engine, "do_connect", postgresql.connect)
        sa.event.listen(engine, "connect", postgresql.prepare)
        sa.event.listen(engine, "checkin", postgresql.hurry)

        @sa.event.listens_for(engine, "begin")
        def begin_pooled(connection: sa.Connection) -> None:
            if postgresql.POOLED in connection.info:
                connection.exec_driver_sql(postgresql.FOR_TRANSACTION)

    return engine
