"""Create and upgrade a journal's tables, with Alembic."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from payhub.errors import JournalFailed
from payhub.journal.sql.note import AGREE
from payhub.journal.sql.postgresql import take_time

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The newest version of the tables; a test compares it with the migrations."""

MIGRATIONS = Path(__file__).with_name("migrations")
"""Where Alembic finds the versions; a later one adds its file in `versions` there, see also `triggers`."""

_alembic = threading.Lock()


def version_table(prefix: str) -> str:
    """Return the table in which Alembic keeps the version."""
    return f"{prefix}version"


def begun_view(prefix: str) -> str:
    """Return the view that says that the tables were made here.

    It outlives them where somebody else's migrations drop tables that they do not know: those leave views alone.
    """
    return f"{prefix}begun"


def version(connection: sa.Connection, prefix: str) -> str | None:
    """Return the version of the tables, or `None` where there are none."""
    table = version_table(prefix)
    if not sa.inspect(connection).has_table(table):
        return None
    found: str | None = connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(table))).scalar()
    return found


def is_current(connection: sa.Connection, prefix: str) -> bool:
    """Tell whether the tables are of this version."""
    return version(connection, prefix) == HEAD


def configuration(connection: sa.Connection, prefix: str) -> "Config":
    """Return what tells Alembic where the migrations are, and on which connection and prefix they run."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, and rarely needed

    made = Config(attributes={"connection": connection, "prefix": prefix})
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return made


def upgrade(engine: sa.Engine, prefix: str, *, anew: bool = False) -> bool:
    """Bring the tables to the newest version; return whether anything had to be done.

    Everything happens in one transaction, of one process at a time: it is done whole, or not at all. Tables that are
    gone where they once were are made `anew` only if a person has agreed.

    Raises:
        JournalFailed: the tables have a version that this payhub does not know, or are gone.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            take_time(connection)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(version_table(prefix)))))
        found = version(connection, prefix)
        if found == HEAD:
            return False
        if not anew:
            refuse_dropped(connection, prefix)
        _refuse_newer(connection, prefix, found)
        from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed

        with _alembic:  # it runs migrations through module globals
            command.upgrade(configuration(connection, prefix), "head")
        return True


def refuse_dropped(connection: sa.Connection, prefix: str) -> None:
    """Refuse to go on without tables where there were some: whoever makes them anew forgets what was sent.

    Raises:
        JournalFailed: they were dropped.
    """
    if version(connection, prefix) is None and sa.inspect(connection).has_table(begun_view(prefix)):
        raise JournalFailed(
            f"the journal failed: its tables were dropped, perhaps by a migration of the application's; nothing is "
            f"sent: {AGREE}"
        )


def _refuse_newer(connection: sa.Connection, prefix: str, found: str | None) -> None:
    """Refuse tables of a version that comes after this payhub's: it was put back after an upgrade.

    Raises:
        JournalFailed: it is such a version.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import, and rarely needed

    known = {each.revision for each in ScriptDirectory.from_config(configuration(connection, prefix)).walk_revisions()}
    if found is not None and found not in known:
        raise JournalFailed(
            f"the journal failed: its tables are of version {found}, which a newer payhub has made; this payhub knows "
            f"{HEAD}, and sends nothing: install the newer payhub again"
        )


def check(engine: sa.Engine, prefix: str) -> None:
    """Look whether the tables are of this version; nothing is changed.

    Raises:
        JournalFailed: they are not, or there are none.
    """
    with engine.connect() as connection:
        found = version(connection, prefix)
        refuse_dropped(connection, prefix)
        if found is None:
            raise JournalFailed("the journal failed: it has no tables; make them: payhub journal init")
        if found == HEAD:
            return
        _refuse_newer(connection, prefix, found)
    raise JournalFailed(
        f"the journal failed: its tables are of version {found}, and this payhub needs {HEAD}: payhub journal upgrade"
    )
