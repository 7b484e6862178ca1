"""Connect to PostgreSQL so that nothing is waited for without a bound, and what is committed stays committed."""

import functools
import time
from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from payhub.errors import JournalFailed
from payhub.masking import HiddenFields

CONNECT_WITHIN = 10
"""Seconds for a connection to be made, from the first byte to the last word of the greeting."""

ANSWER_WITHIN = 12.0
"""Seconds in which the server may be silent while an order waits; a lock is given up sooner, by the server itself."""

ADMINISTRATION = 600.0
"""Seconds in which it may be silent while tables are made, or much is read or deleted."""

POOLED = "payhub_pooled"
"""In the info of a connection that leads to a pooler, where each transaction may have another session of the server."""


def _settings(scope: str, isolation: str, is_local: str) -> str:
    """Return what a session, or a transaction, has to be set to, whatever the server's defaults are."""
    durable = "SELECT set_config('synchronous_commit', 'on', {}) WHERE current_setting('synchronous_commit') = 'off'"
    return "; ".join(
        (
            # A transaction that has waited for a row's lock must read the row as it was committed meanwhile. Under a
            # stricter isolation it would fail instead, although another process is sending the order.
            f"SET {isolation} ISOLATION LEVEL READ COMMITTED",
            # "off" is a choice for speed, of a role or a database, and would lose orders; "local" and more are kept.
            durable.format(is_local),
            f"SET {scope} lock_timeout = '10s'",  # as with SQLite
            f"SET {scope} idle_in_transaction_session_timeout = '10s'",  # a process that hangs keeps no lock
        )
    )


_FOR_SESSION = _settings("SESSION", "SESSION CHARACTERISTICS AS TRANSACTION", "false")
FOR_TRANSACTION = _settings("LOCAL", "TRANSACTION", "true")
"""What a transaction begins with on a connection that is pooled."""


@functools.cache
def _bounded(driver: Any) -> Any:
    """Return the driver's class of connections, with a bound on the silence of the server.

    No setting of the server or of TCP is one: a network that has gone silent tells nobody, and a proxy goes on
    acknowledging what it does not forward.
    """

    def listen(steps: Generator[Any, Any, Any], within: float) -> Generator[Any, Any, Any]:
        """Go on with what waits for the server; the driver wakes it several times a second, with 0 for silence."""
        silent_since = time.monotonic()
        try:
            step = next(steps)
            while True:
                ready = yield step
                now = time.monotonic()
                if ready:
                    silent_since = now
                elif now - silent_since > within:
                    raise driver.OperationalError(f"the server has been silent for {within:g} seconds")
                step = steps.send(ready)
        except StopIteration as done:
            return done.value

    class Bounded(driver.Connection):  # type: ignore[misc]  # known only when the driver is loaded
        """A connection that is closed when the server has been silent for too long."""

        answer_within: float | None = None

        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            """Carry out what waits for the server, within the bound."""
            try:
                return super().wait(listen(gen, self.answer_within or ANSWER_WITHIN), *args, **options)
            except driver.OperationalError:
                if self.pgconn.transaction_status == driver.pq.TransactionStatus.ACTIVE:
                    self.close()  # its answer may still come, and would be taken for that to another question
                raise

    return Bounded


def connect(dialect: Any, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> Any:
    """Make a connection, in place of the driver's own function.

    Raises:
        JournalFailed: the database cannot keep every text.
    """
    # The password is among them, and a traceback shows what this frame has.
    parameters = HiddenFields({"connect_timeout": CONNECT_WITHIN, **parameters, "client_encoding": "UTF8"})
    connection = _bounded(dialect.loaded_dbapi).connect(*arguments, **parameters)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise JournalFailed(
            f"the journal failed: its database has the encoding {encoding}, in which not every answer of a provider "
            "can be written down: make one with ENCODING 'UTF8'"
        )
    return connection


def prepare(connection: Any, record: Any) -> None:
    """Bound every wait for a lock, and have what is committed on disk, whatever the server's defaults are.

    Behind a pooler what is set for a session, or prepared in one, is met by whoever has it next. It is known by the
    number of the server's process, of which a pooler tells its clients one of its own.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    if process == connection.info.backend_pid:
        connection.execute(_FOR_SESSION)
    else:
        record.info[POOLED] = True
        connection.prepare_threshold = None
    connection.commit()  # or these settings end with the transaction


def take_time(connection: sa.Connection) -> None:
    """Let statements of administration take their time, until the connection is given back."""
    made: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        made.answer_within = ADMINISTRATION


def hurry(connection: Any, _: object) -> None:
    """Take back what `take_time` allowed."""
    if connection is not None:
        connection.answer_within = None
