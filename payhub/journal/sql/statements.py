"""Prepare the statements that every order runs: compiled once, and given to the database's own driver.

SQLAlchemy writes them for each database. Carried out by it, too, one takes ten times what SQLite
needs for it, and an order has eight.
"""

import functools
from collections import namedtuple
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from payhub.journal.sql.tables import Tables, tables

_columns = tuple(column.name for column in tables("").orders.columns)
OrderRow: Any = namedtuple("OrderRow", _columns)  # type: ignore[misc]  # noqa: PYI024 - the table names the fields
"""Name the columns of an order as the driver returns them."""


class Statement:
    """Hold one statement, as SQL with named parameters."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        """Compile it."""
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every statement here can
        self._sql = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def run(self, cursor: Any, parameters: Mapping[str, Any]) -> Any:
        """Run it on a cursor of the driver's, and return the cursor."""
        cursor.execute(self._sql, {**self._constants, **parameters} if self._constants else parameters)
        return cursor


class Statements:
    """Hold the statements of one journal in one database."""

    def __init__(self, t: Tables, dialect: sa.Dialect) -> None:
        """Compile them."""
        param, c, evidence = sa.bindparam, t.orders.c, t.evidence
        find = sa.select(t.orders).where(*[c[name] == param(name) for name in ("account", "kind", "order_id")])
        said = sa.select(evidence.c.id, evidence.c.body, evidence.c.contradicts)
        once_more = {"times": evidence.c.times + 1, "last_at": param("now")}

        def made(statement: sa.Executable) -> Statement:
            return Statement(statement, dialect)

        def reserve(names: tuple[str, ...]) -> Statement:
            return made(_into(t.orders, dialect, names).on_conflict_do_nothing().returning(c.id))

        def update(names: tuple[str, ...]) -> Statement:
            changing: dict[str, Any] = {name: param(name) for name in names}
            return made(t.orders.update().where(c.id == param("row")).values(changing))

        # One for each set of columns that are written together.
        self.reserve, self.update = functools.cache(reserve), functools.cache(update)
        due = sa.select(t.orders).where(c.due_at <= param("due")).order_by(c.due_at).limit(param("limit"))
        self.due = made(due.with_for_update(skip_locked=True))
        self.take = made(t.orders.update().where(c.id == param("row")).values(due_at=param("until")))
        self.find = made(find)
        self.lock = made(find.with_for_update())
        self.attempt, self.exchange, self.act, self.evidence = (
            made(_into(table, dialect).inline()) for table in (t.attempts, t.exchanges, t.acts, evidence)
        )
        n = t.notifications.c
        mine = [n[name] == param(name) for name in ("account", "kind", "order_id")]
        again = {
            "times": n.times + param("more"),
            "last_at": sa.func.coalesce(param("now"), n.last_at),
            "verdict": sa.func.coalesce(param("anew"), n.verdict),
        }
        same = t.notifications.update().where(n.account == param("account"), n.digest == param("digest"))
        self.note = made(_into(t.notifications, dialect).on_conflict_do_nothing().returning(n.id))
        self.note_again = made(same.values(again).returning(n.times, n.verdict))
        waits = n.verdict == sa.literal_column("'waiting'")
        self.waiting = made(sa.select(n.id, n.body, n.last_at).where(*mine, waits))
        self.judge = made(t.notifications.update().where(n.id == param("number")).values(verdict=param("verdict")))
        self.newest = made(said.where(evidence.c.order == param("row")).order_by(evidence.c.id.desc()).limit(1))
        setting = t.settings.c
        self.begin = made(_into(t.settings, dialect, ("name", "value")).on_conflict_do_nothing())
        self.begun = made(sa.select(setting.value).where(setting.name == param("name")))
        self.pace = made(_pace(t.paces, dialect))
        self.again = made(evidence.update().where(evidence.c.id == param("row")).values(once_more))


def _pace(paces: sa.Table, dialect: sa.Dialect) -> Any:
    """Let an account's next call leave an interval after the last one, or now; no row where that is too late.

    Machines with different clocks agree by PostgreSQL's, read when the row is ours; SQLite's are on one machine.
    """
    c = paces.c
    interval, patience = (sa.bindparam(name, type_=sa.BigInteger) for name in ("interval", "patience"))
    insert: Any = sqlite.insert(paces)
    later: Any = sa.func.max
    now: Any = sa.bindparam("now", type_=sa.BigInteger)
    if dialect.name == "postgresql":
        insert, later, now = postgresql.insert(paces), sa.func.greatest, sa.literal_column(_CLOCK, sa.BigInteger)
    # No row is made in the future. If one seems to be, the clock was set back since, and what the row
    # says is as wrong: without this the account would be locked out for as long.
    set_back = later(c.at - now, 0)
    leaves_at = later(c.leaves_at + interval - set_back, now)
    reserved = insert.values(account=sa.bindparam("account"), at=now, leaves_at=now).on_conflict_do_update(
        index_elements=[c.account], set_={"at": now, "leaves_at": leaves_at}, where=leaves_at - now <= patience
    )
    return reserved.returning(c.leaves_at - c.at)


_CLOCK = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"


def _into(table: sa.Table, dialect: sa.Dialect, names: Iterable[str] = ()) -> Any:
    """Insert these columns, or all but the number that the database gives."""
    insert = (sqlite if dialect.name == "sqlite" else postgresql).insert
    names = names or [column.name for column in table.columns if not column.primary_key]
    return insert(table).values({name: sa.bindparam(name) for name in names})
