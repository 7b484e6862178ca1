"""A journal of an earlier version becomes one of the newest, with everything that was in it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from payhub.journal import JournalFailed, Source, State
from payhub.journal.migrate import HEAD, configuration, upgrade, version
from payhub.journal.sql import SqlJournal
from payhub.journal.tables import tables

from .conftest import Place
from .making import LATER, PREFIX, WAYS, brought, facts, found, key

NEWER = {f"{PREFIX}paces", f"{PREFIX}settings"}


@pytest.fixture
def old(empty: Place) -> Place:
    """Give a database whose journal is of version 0001, with an order in every state and an operator's act."""
    with empty.engine().begin() as connection:
        command.upgrade(configuration(connection, PREFIX), "0001")
    journal = SqlJournal(empty.url, PREFIX)
    journal._ready = True  # or SQLite's would be upgraded
    for state in WAYS:
        brought(journal, state, f"po-{state}", LATER)
    brought(journal, State.UNKNOWN, "po-acted", LATER)
    journal.settle(key("po-acted"), found(State.FAILED, Source.OPERATOR, reason="they said so"), LATER, by="anna")
    journal.close()
    return empty


def rows(place: Place) -> dict[str, list[Any]]:
    """Read every row of every table of a journal."""
    with place.engine().connect() as connection:
        there = [table for name, table in MADE.items() if sa.inspect(connection).has_table(name)]
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in there
        }


MADE = tables(PREFIX).metadata.tables


def versions(place: Place) -> str | None:
    """Read the version of a journal."""
    with place.engine().connect() as connection:
        return version(connection, PREFIX)


def test_an_upgrade_keeps_everything(old: Place) -> None:
    """A journal of version 0001 becomes one of the newest: every row of every table stays what it was."""
    before = rows(old)
    assert ("0001", {*MADE} - NEWER, len(WAYS) + 1) == (versions(old), {*before}, len(before[f"{PREFIX}orders"]))
    assert ([True, False], HEAD) == ([upgrade(old.engine(), PREFIX) for _ in range(2)], versions(old))
    assert {**before, **{name: [] for name in NEWER}} == rows(old)


def test_the_command_upgrades(old: Place, tmp_path: Path) -> None:
    """`payhub journal upgrade` does it, and says from which version."""
    before = rows(old)
    written = tmp_path / "payhub.toml"
    written.write_text(f'[journal]\nurl = "{old.url}"\nkey = "k"\n')
    arguments = ["-c", "from payhub.cli import main; main()", "journal", "upgrade", "--json", "--config", str(written)]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    assert {"before": "0001", "version": HEAD, "changed": True} == json.loads(done.stdout)
    assert (HEAD, {**before, **{name: [] for name in NEWER}}) == (versions(old), rows(old))


def test_sqlite_is_upgraded_on_first_use(old: Place) -> None:
    """A journal in SQLite is upgraded by who uses it first; one in PostgreSQL says what to do, and changes nothing."""
    before = rows(old)
    journal = SqlJournal(old.url, PREFIX)
    if old.backend == "sqlite":
        assert 0.0 == journal.pace("shop", 1.0, 0.0)
    else:
        with pytest.raises(JournalFailed, match=f"its tables are of version 0001, and this payhub needs {HEAD}"):
            journal.pace("shop", 1.0, 0.0)
        assert ("0001", before) == (versions(old), rows(old))
        upgrade(old.engine(), PREFIX)
    assert before == {name: kept for name, kept in rows(old).items() if name not in NEWER}
    assert HEAD == versions(old)
    journal.close()


def test_an_upgraded_journal_is_used_as_before(old: Place) -> None:
    """After the upgrade known orders are known, new ones are taken, and illegal steps are refused as ever."""
    upgrade(old.engine(), PREFIX)
    journal = SqlJournal(old.url, PREFIX)
    assert [*WAYS] == [record.state for state in WAYS if (record := journal.find(key(f"po-{state}")))]
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
