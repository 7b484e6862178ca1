"""The statements that every order runs, compiled once and given to the database's own driver.

SQLAlchemy writes them for each database. If it carried them out as well, a transaction would take about four times as
long.
"""

import functools
from collections import namedtuple
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from payhub.journal.sql.tables import Tables, tables
from payhub.journal.states import State

_columns = tuple(column.name for column in tables("").orders.columns)
OrderRow: Any = namedtuple("OrderRow", _columns)  # type: ignore[misc]  # noqa: PYI024 - the table names the fields
"""The columns of an order as the driver returns them."""

CLOCK = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
"""PostgreSQL's clock, in microseconds; read when it is evaluated, not when the transaction began."""


class Statement:
    """One statement, as SQL with named parameters."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        """Compile it."""
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every statement here can
        self._sql = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def run(self, cursor: Any, parameters: Mapping[str, Any]) -> Any:
        """Run it on a cursor of the driver's, and return the cursor."""
        cursor.execute(self._sql, {**self._constants, **parameters} if self._constants else parameters)
        return cursor


def _into(table: sa.Table, dialect: sa.Dialect, names: Iterable[str] = ()) -> Any:
    """Return an INSERT of these columns, or of all but the number that the database gives."""
    insert = (sqlite if dialect.name == "sqlite" else postgresql).insert
    names = names or [column.name for column in table.columns if not column.primary_key]
    return insert(table).values({name: sa.bindparam(name) for name in names})


def _reserve_slot(slots: sa.Table, dialect: sa.Dialect) -> Any:
    """Return the statement that reserves an account's next call: an interval after the last one, or now.

    It returns no row where that would be later than the caller's patience allows. PostgreSQL reads its own clock, once
    it has the row, so machines with different clocks agree; SQLite is on one machine, which gives the time.
    """
    c = slots.c
    interval, patience = (sa.bindparam(name, type_=sa.BigInteger) for name in ("interval", "patience"))
    insert: Any = sqlite.insert(slots)
    later: Any = sa.func.max
    now: Any = sa.bindparam("now", type_=sa.BigInteger)
    if dialect.name == "postgresql":
        insert, later, now = postgresql.insert(slots), sa.func.greatest, sa.literal_column(CLOCK, sa.BigInteger)
    # No row is written in the future. One that seems to be was written before the clock was set back; without this
    # the account would be locked out for as long as the clock was set back by.
    set_back = later(c.at - now, 0)
    leaves_at = later(c.leaves_at + interval - set_back, now)
    reserved = insert.values(account=sa.bindparam("account"), at=now, leaves_at=now).on_conflict_do_update(
        index_elements=[c.account], set_={"at": now, "leaves_at": leaves_at}, where=leaves_at - now <= patience
    )
    return reserved.returning(c.leaves_at - c.at)


class Statements:
    """The statements of one journal in one database.

    Orders: `reserve` a new one, `find` it, or all `legs` of it, `lock` it until the transaction ends, `update` it;
    `holder` finds another one that has an id of the provider's. `due` finds and locks those to be asked about, of all
    accounts or of one, `take` makes one due later, `due_accounts` have some. What happens to an order: `attempt`,
    `exchange`, `act`, `evidence`; `newest` evidence, `again` counts it once more, `last_denial` is what contradicted
    the order last. Notifications: `note` keeps one, `note_again` counts it, `waiting` finds those without a verdict,
    `judge` gives one. The journal: `begin` it with a key, `begun` returns the key, `mark` which journal it is and its
    newest order; `note_sweep` says when one ended; `reserve_slot` reserves an instant for a call. `clock` is
    PostgreSQL's only.
    """

    _compiled: ClassVar[dict[tuple[Tables, str], "Statements"]] = {}

    @classmethod
    def of(cls, t: Tables, dialect: sa.Dialect) -> "Statements":
        """Return the statements for tables in a kind of database; a process compiles them once."""
        key = t, dialect.name
        if key not in cls._compiled:
            cls._compiled[key] = cls(t, dialect)
        return cls._compiled[key]

    def __init__(self, t: Tables, dialect: sa.Dialect) -> None:
        """Compile them."""

        def made(statement: sa.Executable) -> Statement:
            return Statement(statement, dialect)

        param = sa.bindparam
        order, evidence, notification, setting = t.orders.c, t.evidence.c, t.notifications.c, t.settings.c
        key = ("account", "kind", "order_id")

        # One statement for each set of columns that are written together.
        self.reserve = functools.cache(
            lambda names: made(
                _into(t.orders, dialect, names).on_conflict_do_nothing(index_elements=key).returning(order.id)
            )
        )
        self.update = functools.cache(
            lambda names: made(
                t.orders.update().where(order.id == param("row")).values({name: param(name) for name in names})
            )
        )
        find = sa.select(t.orders).where(*[order[name] == param(name) for name in key])
        self.find = made(find)
        whole = [order[name] == param(name) for name in ("order_id", "kind", "namespace")]
        self.legs = made(sa.select(t.orders).where(*whole).order_by(order.id))
        self.lock = made(find.with_for_update())
        held = [order[name] == param(name) for name in ("provider_id", "kind", "identity")]
        self.holder = made(sa.select(order.id).where(*held, order.id != param("row")))
        asked_daily = order.state == sa.literal_column(f"'{State.NEEDS_ATTENTION}'")
        put_off = sa.and_(order.due_at > param("far"), sa.not_(asked_daily))  # by a clock that was wrong
        is_due = sa.or_(order.due_at <= param("due"), put_off, order.due_at > param("farther"))
        waiting = sa.select(order.id, *(order[name] for name in key)).where(is_due)
        first = waiting.order_by(order.due_at).limit(param("limit")).with_for_update(skip_locked=True)
        self.due = made(first), made(first.where(order.account == param("account")))
        longest = sa.func.min(order.due_at)
        by_account = sa.select(order.account, longest).where(is_due).group_by(order.account)
        self.due_accounts = made(by_account.order_by(longest))
        self.take = made(t.orders.update().where(order.id == param("row")).values(due_at=param("until")))

        self.attempt, self.exchange, self.act, self.evidence = (
            made(_into(table, dialect).inline()) for table in (t.attempts, t.exchanges, t.acts, t.evidence)
        )
        newest = sa.select(evidence.id, evidence.body, evidence.contradicts).where(evidence.order == param("row"))
        self.newest = made(newest.order_by(evidence.id.desc()).limit(1))
        denials = sa.select(evidence.body).where(evidence.order == param("row"), evidence.contradicts)
        self.last_denial = made(denials.order_by(evidence.last_at.desc(), evidence.id.desc()).limit(1))
        once_more = {"times": evidence.times + 1, "last_at": param("now")}
        self.again = made(t.evidence.update().where(evidence.id == param("row")).values(once_more))

        self.note = made(_into(t.notifications, dialect).on_conflict_do_nothing().returning(notification.id))
        same = (notification.account == param("account"), notification.digest == param("digest"))
        counted = {
            "times": notification.times + param("more"),
            "last_at": sa.func.coalesce(param("now"), notification.last_at),
            "verdict": sa.func.coalesce(param("anew"), notification.verdict),
        }
        update = t.notifications.update()
        self.note_again = made(update.where(*same).values(counted).returning(notification.times, notification.verdict))
        waits = notification.verdict == sa.literal_column("'waiting'")
        of_order = [notification[name] == param(name) for name in key]
        self.waiting = made(sa.select(notification.id, notification.body, notification.last_at).where(*of_order, waits))
        self.judge = made(update.where(notification.id == param("number")).values(verdict=param("verdict")))

        self.begin = made(_into(t.settings, dialect, ("name", "value")).on_conflict_do_nothing())
        noted: Any = _into(t.settings, dialect, ("name", "value"))
        self.note_sweep = made(
            noted.on_conflict_do_update(index_elements=[setting.name], set_={"value": noted.excluded.value})
        )
        self.begun = made(sa.select(setting.value).where(setting.name == param("name")))
        identity = sa.select(setting.value).where(setting.name == sa.literal_column("'identity'")).scalar_subquery()
        self.mark = made(sa.select(identity, sa.func.coalesce(sa.func.max(order.id), 0)))
        self.clock = made(sa.select(sa.literal_column(CLOCK)))
        self.reserve_slot = made(_reserve_slot(t.slots, dialect))
