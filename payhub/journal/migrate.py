"""Create and upgrade a journal's tables, with Alembic."""

from pathlib import Path

import sqlalchemy as sa

HEAD = "0001"
"""The newest version of the tables; a test compares it with the migrations."""


def upgrade(engine: sa.Engine, prefix: str) -> bool:
    """Bring the tables to the newest version; return whether anything had to be done.

    Everything happens in one transaction: it is done whole, or not at all.
    """
    with engine.begin() as connection:
        if version(connection, prefix) == HEAD:
            return False
        from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed

        command.upgrade(configuration(connection, prefix), "head")
        return True


def version(connection: sa.Connection, prefix: str) -> str | None:
    """Return the version of the tables, or `None` where there are none."""
    table = version_table(prefix)
    if not sa.inspect(connection).has_table(table):
        return None
    found: str | None = connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(table))).scalar()
    return found


def version_table(prefix: str) -> str:
    """Return the table in which Alembic keeps the version."""
    return f"{prefix}version"


def configuration(connection: sa.Connection, prefix: str) -> "Config":  # noqa: F821
    """Tell Alembic where the migrations are, and on which connection and prefix they run."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, and rarely needed

    made = Config(attributes={"connection": connection, "prefix": prefix})
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return made
