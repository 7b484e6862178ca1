"""A later version teaches a filled journal a kind and a state; everything that was in it stays what it was."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from payhub import Money
from payhub.cli import app
from payhub.errors import JournalFailed
from payhub.journal import NotificationContent, Source, State
from payhub.journal.sql import SqlJournal, migrate
from payhub.journal.sql.migrate import HEAD, upgrade, version
from payhub.journal.sql.tables import tables
from payhub.journal.states import EDGES

from .conftest import Place
from .making import LATER, PREFIX, WAYS, brought, exchange, facts, found, key

NEW_STEPS = {("sending", "authorized"), ("authorized", "succeeded"), ("authorized", "canceled")}
STEPS = {(now.value, then.value) for now, steps in EDGES.items() for then in steps} | NEW_STEPS

VERSION = f'''"""Let a payment be authorized."""

from alembic import context, op

from payhub.journal.sql.triggers import replace_triggers

revision = "later"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None

STEPS = { {now: sorted(then for n, then in STEPS if n == now) for now, _ in STEPS} }


def upgrade() -> None:
    replace_triggers(op.get_bind(), context.config.attributes["prefix"], STEPS)
'''


@pytest.fixture
def old(empty: Place) -> Place:
    """Give a database with a journal of today's version: an order in every state, and all that happens to orders."""
    upgrade(empty.engine(), PREFIX)
    journal = SqlJournal(empty.url, PREFIX)
    for state in WAYS:
        brought(journal, state, f"po-{state}")
        seen = found(state, reason="asked by phone")
        journal.settle(key(f"po-{state}"), seen, LATER, (exchange(),))
        journal.keep_notification(
            NotificationContent(account="shop", provider="fake", kind="payout", order_id=f"po-{state}", provider_id="7",
                   state=State.PENDING, provider_status="wait", digest=f"d-{state}"), 60.0, 60.0,
        )  # fmt: skip
    journal.settle(key("po-unknown"), found(State.FAILED, Source.OPERATOR, reason="by phone"), LATER, by="anna")
    brought(journal, State.UNKNOWN, "po-unknown-2")
    journal.reserve_slot("shop", 0.0, 1.0)
    journal.close()
    return empty


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a later version of the tables, which knows one more state; return its name."""
    migrations = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, migrations)
    (migrations / "versions" / "later.py").write_text(VERSION)
    monkeypatch.setattr(migrate, "MIGRATIONS", migrations)
    monkeypatch.setattr(migrate, "HEAD", "later")
    return "later"


Rows = dict[str, list[dict[str, Any]]]


def rows(place: Place) -> Rows:
    """Read every row of every table of a journal but its version."""
    engine, metadata = place.engine(), sa.MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        return {
            name: [dict(row._mapping) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
            if name != migrate.version_table(PREFIX)
        }


def installed(place: Place) -> str | None:
    """Read the version of a journal."""
    with place.engine().connect() as connection:
        return version(connection, PREFIX)


def test_an_upgrade_keeps_everything(old: Place, later: str) -> None:
    """Every value of every row stays what it was, in every table; the second upgrade finds nothing to do."""
    before = rows(old)
    assert {"orders", "attempts", "exchanges", "evidence", "notifications", "acts", "slots", "settings"} == {
        name.removeprefix(PREFIX) for name, there in before.items() if there
    }
    assert [True, False] == [upgrade(old.engine(), PREFIX) for _ in range(2)]
    assert (later, before) == (installed(old), rows(old))


def taken(place: Place) -> set[tuple[str, str]]:
    """Return the steps between different states that the database takes of the orders that are there."""
    orders = tables(PREFIX).orders
    words = [*map(str, State), "authorized", "paid"]
    steps = set()
    with place.engine().connect() as connection:
        states = connection.execute(sa.select(orders.c.id, orders.c.state)).all()
        for number, now, then in ((number, now, then) for number, now in states for then in words if now != then):
            attempt = connection.begin_nested()
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.execute(orders.update().where(orders.c.id == number).values(state=then))
                steps.add((now, then))
            attempt.rollback()
    return steps


def test_an_upgrade_teaches_a_state(old: Place, later: str) -> None:
    """The database takes the new steps and all that were legal, and refuses every other one, of old rows, too."""
    was = STEPS - NEW_STEPS
    assert was == taken(old)
    upgrade(old.engine(), PREFIX)
    assert (later, was | {("sending", "authorized")}) == (installed(old), taken(old))


def test_an_upgraded_journal_takes_a_new_kind_to_a_new_state(old: Place, later: str) -> None:
    """An order of a kind that was not there before is kept, goes through the new state, and is guarded as all are."""
    upgrade(old.engine(), PREFIX)
    orders = tables(PREFIX).orders
    given = {"account": "shop", "provider": "fake", "kind": "refund", "order_id": "rf-1", "parent": "po-succeeded",
             "method": "", "amount": "1", "currency": "RUB", "fingerprint": "f", "contradicted": False,
             "notified": False, "attempts": 0, "checks": 0, "created_at": 0, "updated_at": 0}  # fmt: skip
    with old.engine().begin() as connection:
        with pytest.raises(sa.exc.DBAPIError, match="an order begins as sending"), connection.begin_nested():
            connection.execute(orders.insert().values(**given, state="authorized"))
        connection.execute(orders.insert().values(**given, state="sending"))
        refund = orders.c.kind == "refund"
        for state in ("authorized", "succeeded"):
            connection.execute(orders.update().where(refund).values(state=state))
        with pytest.raises(sa.exc.DBAPIError, match="an order is never deleted"), connection.begin_nested():
            connection.execute(orders.delete().where(refund))
        read = sa.select(orders.c.namespace, orders.c.parent, orders.c.state).where(refund)
        assert [("default", "po-succeeded", "succeeded")] == [tuple(row) for row in connection.execute(read)]
    assert later == installed(old)


def test_the_command_upgrades(old: Place, later: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`payhub journal upgrade` does it, and says from which version."""
    before = rows(old)
    written = tmp_path / "payhub.toml"
    written.write_text(f'[journal]\nurl = "{old.url}"\nkey = "{"k" * 32}"\n')
    assert 0 == app.run(["journal", "upgrade", "--json", "--config", str(written)])
    assert {"before": HEAD, "version": later, "changed": True} == json.loads(capsys.readouterr().out)
    assert before == rows(old)


def test_sqlite_is_upgraded_on_first_use(old: Place, later: str) -> None:
    """A journal in SQLite is upgraded on first use; one in PostgreSQL says what to do, and changes nothing."""
    before = rows(old)
    journal = SqlJournal(old.url, PREFIX)
    if old.backend == "sqlite":
        journal.find(key())
        assert (later, before) == (installed(old), rows(old))
    else:
        with pytest.raises(JournalFailed, match=f"tables are of version {HEAD}, and this payhub needs {later}"):
            journal.open(facts("po-new"), 60.0)
        assert (HEAD, before) == (installed(old), rows(old))
    journal.close()


def test_an_upgraded_journal_is_used_as_before(old: Place, request: pytest.FixtureRequest) -> None:
    """After the upgrade known orders are known, new ones are taken, and amounts are read as they were written."""
    journal = SqlJournal(old.url, PREFIX)
    names = [f"po-{state}" for state in WAYS]
    before = [(journal.find(key(name)), journal.story(name)) for name in names]
    journal.close()
    later = request.getfixturevalue("later")
    upgrade(old.engine(), PREFIX)
    journal = SqlJournal(old.url, PREFIX)
    assert before == [(journal.find(key(name)), journal.story(name)) for name in names]
    assert [False, True] == [journal.open(facts(name), 60.0).yours for name in ("po-pending", "po-new")]
    assert Money("1000.44", "RUB") == journal.open(facts("po-new"), 60.0).record.facts.amount
    assert later == installed(old)
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
"""What to ask each database for, to learn all that was made in it."""


def schema(place: Place, prefix: str) -> list[list[tuple[str, ...]]]:
    """Read what a database has under a prefix: tables, indexes, constraints, triggers."""
    with place.engine().connect() as connection:
        found = [connection.exec_driver_sql(query).all() for query in SCHEMA[place.backend]]
    told = [[tuple(str(value) for value in row) for row in each if prefix in str(row)] for each in found]
    return [sorted(tuple(value.replace(prefix, "") for value in row) for row in each) for each in told]


def test_an_upgraded_journal_equals_a_new_one(old: Place, later: str) -> None:
    """What came by an upgrade is what is made anew: the same tables, columns, indexes, constraints and triggers."""
    upgrade(old.engine(), PREFIX)
    upgrade(old.engine(), "anew_")
    upgraded = schema(old, PREFIX)
    assert [True] * len(upgraded) == [bool(each) for each in upgraded]
    assert schema(old, "anew_") == upgraded
    assert later == installed(old)
