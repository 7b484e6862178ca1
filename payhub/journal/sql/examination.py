"""Find out how a journal is, without changing it: where it lies, its tables, its key, whether it has orders."""

from typing import Any

import msgspec
import sqlalchemy as sa

from payhub.journal.protocol import KeyCheck
from payhub.journal.sql import migrate
from payhub.journal.sql.tables import Tables
from payhub.masking import Clear, MaskedStruct


class Examination(MaskedStruct, frozen=True, kw_only=True):
    """What was found out about a journal.

    `place` is a file, or an address without password. `version` is that of the tables, `None` where there are none,
    and `needed` the one that this payhub knows; `missing` names tables that are gone. Only of tables that can be used
    it is known whether the `key` is the one that the journal was begun with (`None`: it has none yet), and whether
    there are `orders`.
    """

    place: Clear[str]
    version: Clear[str | None]
    needed: Clear[str] = migrate.HEAD
    missing: Clear[tuple[str, ...]] = ()
    key: Clear[bool | None] = None
    orders: Clear[bool] = False

    @property
    def usable(self) -> bool:
        """Tell whether the tables are whole, and of the version that is needed."""
        return self.version == self.needed and not self.missing


def place_of(url: sa.URL) -> str:
    """Return where a database is, without what is secret."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(password=None, query={}).render_as_string()


def examine(connection: sa.Connection, t: Tables, check: KeyCheck | None) -> Examination:
    """Examine a journal whose database can be reached."""
    found = Examination(place=place_of(connection.engine.url), version=migrate.version(connection, t.prefix))
    if found.version != found.needed:
        return found
    has_table = sa.inspect(connection).has_table
    found = msgspec.structs.replace(found, missing=tuple(name for name in t.metadata.tables if not has_table(name)))
    if found.missing:
        return found
    begun_with: Any = connection.scalar(sa.select(t.settings.c.value).where(t.settings.c.name == "key"))
    key = None if begun_with is None or check is None else begun_with == check.value
    orders = connection.execute(sa.select(t.orders.c.id).limit(1)).first() is not None
    return msgspec.structs.replace(found, key=key, orders=orders)
