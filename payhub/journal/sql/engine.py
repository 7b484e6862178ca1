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

BEGIN = "BEGIN IMMEDIATE"  # take the write lock at once: two who both read first could not both go on
READS: Mapping[str, Any] = {"payhub_reads": True}


def placed(url: str, base: Path) -> str:
    """Make the path of SQLite's file absolute, by whatever driver it is opened; leave every other URL as it is."""
    try:
        made = sa.make_url(url)
    except SQLAlchemyError:  # the journal says so
        return HiddenText(url)
    if made.get_backend_name() != "sqlite" or made.database in {None, "", ":memory:"}:
        return HiddenText(url)
    absolute = made.set(database=str((base / str(made.database)).absolute()))
    return HiddenText(absolute.render_as_string(hide_password=False))


def open_engine(url: str) -> sa.Engine:
    """Open a database: each dialect with what makes a commit durable."""
    style = {"paramstyle": "named"} if url.startswith("sqlite") else {"pool_pre_ping": True}
    engine = sa.create_engine(url, hide_parameters=True, logging_name="payhub", **style)
    logging.getLogger("sqlalchemy.engine.Engine.payhub").addFilter(_without_rows)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _begin_sqlite(connection: sa.Connection) -> None:
    reads = READS.items() <= connection.get_execution_options().items()
    connection.exec_driver_sql("BEGIN" if reads else BEGIN)


def _without_rows(record: logging.LogRecord) -> bool:
    """Leave out the rows that SQLAlchemy logs on DEBUG: `hide_parameters` says nothing of them."""
    return record.levelno > logging.DEBUG


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in (
        "busy_timeout = 10000",
        "synchronous = FULL",
        "wal_autocheckpoint = 4000",
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
    """Switch to WAL; SQLite itself does not wait where another process is just switching.

    A file that is read-only stays as it is: nothing can be written to it anyway.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as cause:
        if cause.sqlite_errorcode != sqlite3.SQLITE_READONLY:
            raise


def _prepare_postgresql(connection: Any, _: object) -> None:
    """Wait for a lock as long as with SQLite, hold none while doing nothing, and have what is committed on disk.

    Who waited for another's order must then see it: a stricter isolation fails instead, also where the other sends.
    """
    # Whoever switched it off, for a role or a database, did not think of money; "local" and more are kept.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute("SET lock_timeout = '10s'")
    connection.execute("SET idle_in_transaction_session_timeout = '10s'")
    connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
    connection.commit()  # else they end with the transaction
