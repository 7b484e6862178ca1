"""Run the migrations on the connection that payhub gives."""

from alembic import context

from payhub.journal.sql.migrate import version_table
from payhub.journal.sql.tables import tables

connection = context.config.attributes["connection"]
prefix = context.config.attributes["prefix"]

context.configure(
    connection=connection,
    target_metadata=tables(prefix).metadata,
    version_table=version_table(prefix),
    include_name=lambda name, kind, _: kind != "table" or str(name).startswith(prefix),
)
with context.begin_transaction():
    context.run_migrations()
