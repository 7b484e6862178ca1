"""A journal of an earlier version becomes one of the newest, with everything that was in it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from payhub.errors import JournalFailed
from payhub.journal import State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import HEAD, configuration, upgrade, version
from payhub.journal.sql.tables import tables

from .conftest import Place
from .making import PREFIX, WAYS, facts, key


@pytest.fixture
def old(empty: Place) -> Place:
    """Give a database whose journal is of version 0001, with an order in every state, and what happened to each."""
    engine = empty.engine()
    with engine.begin() as connection:
        command.upgrade(configuration(connection, PREFIX), "0001")
    made = reflected(engine)
    with engine.begin() as connection:
        orders = made["orders"]
        for state, way in WAYS.items():
            created = orders.insert().values(**NEW, order_id=f"po-{state}").returning(orders.c.id)
            number = connection.execute(created).scalar_one()
            for then in (State.SENDING, *(then for then, _ in way)):
                connection.execute(orders.update().where(orders.c.id == number).values(state=then.value))
            told = {"order": number, "at": number, "body": json.dumps({"source": "status query", "state": state.value})}
            connection.execute(made["evidence"].insert().values(**told, contradicts=False, times=2, last_at=9))
            connection.execute(made["attempts"].insert().values(order=number, at=1, number=1, lease_until=2))
            connection.execute(made["acts"].insert().values(**told, by="anna"))
    return empty


NEW: dict[str, Any] = {
    "account": "shop",
    "provider": "fake",
    "kind": "payout",
    "method": "card",
    "amount": "1000.44",
    "currency": "RUB",
    "fingerprint": "f" * 64,
    "state": "new",
    "contradicted": False,
    "notified": False,
    "attempts": 1,
    "checks": 0,
    "created_at": 1,
    "updated_at": 2,
}


def reflected(engine: sa.Engine) -> dict[str, sa.Table]:
    """Read what tables there are, by their names without the prefix."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    return {name.removeprefix(PREFIX): table for name, table in metadata.tables.items()}


Rows = dict[str, list[dict[str, Any]]]


def rows(place: Place) -> Rows:
    """Read every row of every table of a journal but its version."""
    engine = place.engine()
    made = {name: table for name, table in reflected(engine).items() if name != "version"}
    with engine.connect() as connection:
        return {
            name: [dict(row._mapping) for row in connection.execute(sa.select(t).order_by(*t.primary_key))]
            for name, t in made.items()
        }


def since(before: Rows, now: Rows) -> tuple[Rows, Rows]:
    """Divide what is there now: what was there before, and what is new in tables and in rows."""
    same = {name: [{column: row[column] for column in old} for old, row in zip(before[name], now[name], strict=True)]
            for name in before}  # fmt: skip
    new = {name: [{c: v for c, v in row.items() if name not in before or c not in before[name][0]} for row in now[name]]
           for name in now}  # fmt: skip
    return same, {name: [row for row in each if row] for name, each in new.items() if name not in before or any(each)}


ADDED: Rows = {"orders": [{"resolved": False}] * len(WAYS), "paces": [], "settings": []}
"""Name what the newest version has more: tables, and columns with the value that old rows get."""


def versions(place: Place) -> str | None:
    """Read the version of a journal."""
    with place.engine().connect() as connection:
        return version(connection, PREFIX)


def test_an_upgrade_keeps_everything(old: Place) -> None:
    """A journal of version 0001 becomes one of the newest: every value of every row stays what it was."""
    before = rows(old)
    assert ("0001", len(WAYS)) == (versions(old), len(before["orders"]))
    assert ([True, False], HEAD) == ([upgrade(old.engine(), PREFIX) for _ in range(2)], versions(old))
    assert (before, ADDED) == since(before, rows(old))


def test_the_command_upgrades(old: Place, tmp_path: Path) -> None:
    """`payhub journal upgrade` does it, and says from which version."""
    before = rows(old)
    written = tmp_path / "payhub.toml"
    written.write_text(f'[journal]\nurl = "{old.url}"\nkey = "k"\n')
    arguments = ["-c", "from payhub.cli import main; main()", "journal", "upgrade", "--json", "--config", str(written)]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    assert {"before": "0001", "version": HEAD, "changed": True} == json.loads(done.stdout)
    assert (before, ADDED) == since(before, rows(old))


def test_sqlite_is_upgraded_on_first_use(old: Place) -> None:
    """A journal in SQLite is upgraded by who uses it first; one in PostgreSQL says what to do, and changes nothing."""
    before = rows(old)
    journal = SqlJournal(old.url, PREFIX)
    if old.backend == "sqlite":
        journal.find(key())
        assert (HEAD, (before, ADDED)) == (versions(old), since(before, rows(old)))
    else:
        with pytest.raises(JournalFailed, match=f"tables are of version 0001, and this payhub needs {HEAD}"):
            journal.open(facts("po-new"), 60.0)
        assert ("0001", before) == (versions(old), rows(old))
    journal.close()


def test_an_upgraded_journal_is_used_as_before(old: Place) -> None:
    """After the upgrade known orders are known, new ones are taken, and illegal steps are refused as ever."""
    upgrade(old.engine(), PREFIX)
    journal = SqlJournal(old.url, PREFIX)
    assert [*WAYS] == [record.state for state in WAYS if (record := journal.find(key(f"po-{state}")))]
    assert [3] * len(WAYS) == [len(journal.story(f"po-{state}")[1]) for state in WAYS]
    assert [False, True] == [journal.open(facts(name), 60.0).yours for name in ("po-pending", "po-new")]
    orders = tables(PREFIX).orders
    with journal.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="payhub: illegal step"):
        connection.execute(sa.update(orders).where(orders.c.state == "failed").values(state="sending"))
    journal.close()


SCHEMA = {
    "sqlite": ["SELECT type, name, sql FROM sqlite_master"],
    "postgresql": [
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0",
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ],
}
"""Ask each database for all that it has been told to make."""


def schema(place: Place, prefix: str) -> list[list[tuple[str, ...]]]:
    """Read what a database has under a prefix: tables, indexes, constraints, triggers."""
    with place.engine().connect() as connection:
        found = [connection.exec_driver_sql(query).all() for query in SCHEMA[place.backend]]
    told = [[tuple(str(value) for value in row) for row in each if prefix in str(row)] for each in found]
    return [sorted(tuple(value.replace(prefix, "") for value in row) for row in each) for each in told]


def test_an_upgraded_journal_equals_a_new_one(old: Place) -> None:
    """What came by an upgrade is what is made anew: the same tables, columns, indexes, constraints and triggers."""
    upgrade(old.engine(), PREFIX)
    upgrade(old.engine(), "anew_")
    upgraded = schema(old, PREFIX)
    assert [True] * len(upgraded) == [bool(each) for each in upgraded]
    assert schema(old, "anew_") == upgraded
