"""Open a database so that what is committed stays committed."""

import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import tenacity
from sqlalchemy.exc import SQLAlchemyError

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


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Let a connection wait for the disk, for other writers, and overwrite what it deletes."""
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


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


def _prepare_postgresql(connection: Any, _: object) -> None:
    """Bound every wait for a lock, and have what is committed on disk, whatever the server's defaults are."""
    # "off" is a choice for speed, of a role or a database, and would lose orders; "local" and more are kept.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute("SET lock_timeout = '10s'")  # as with SQLite
    connection.execute("SET idle_in_transaction_session_timeout = '10s'")  # a process that hangs keeps no lock
    # A transaction that has waited for a row's lock must read the row as it was committed meanwhile. Under a stricter
    # isolation it would fail instead, although another process is sending the order.
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.commit()  # or these settings end with the transaction


def open_engine(url: str) -> sa.Engine:
    """Return an engine; its connections lose nothing that is committed, and wait for nothing without a bound."""
    style = {"paramstyle": "named"} if url.startswith("sqlite") else {"pool_pre_ping": True}
    engine = sa.create_engine(url, hide_parameters=True, logging_name="payhub", **style)
    # On DEBUG SQLAlchemy logs the rows that it reads; `hide_parameters` does not stop that.
    logging.getLogger("sqlalchemy.engine.Engine.payhub").addFilter(lambda record: record.levelno > logging.DEBUG)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:  # a transaction that only reads takes no lock
            reads = READS.items() <= connection.get_execution_options().items()
            connection.exec_driver_sql("BEGIN" if reads else BEGIN)

    elif engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine
