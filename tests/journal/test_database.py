import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from payhub.errors import JournalFailed
from payhub.journal import Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import HEAD, configuration, upgrade, version, version_table
from payhub.journal.sql.tables import tables

from .conftest import Place, Server
from .making import LATER, NOW, PREFIX, brought, facts, found, key

TABLES = {"orders", "attempts", "exchanges", "evidence", "notifications", "acts", "slots", "settings", "version"}


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlJournal]:
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db")
    yield journal
    journal.close()


# SQLite


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1), ("foreign_keys", 1), ("busy_timeout", 10000)],
)
def test_sqlite_is_durable(sqlite: SqlJournal, pragma: str, expected: object) -> None:
    """Every connection waits for the disk, overwrites what it deletes, and waits for others."""
    connections = [sqlite.database.engine.raw_connection() for _ in range(2)]
    found = [connection.cursor().execute(f"PRAGMA {pragma}").fetchone() for connection in connections]
    assert [(expected,)] * 2 == found
    for connection in connections:
        connection.close()


def test_a_transaction_takes_the_lock_at_its_beginning(sqlite: SqlJournal, tmp_path: Path) -> None:
    """From the beginning of a transaction on no other program can write, so none can come in between."""
    sqlite.open(facts(), 60.0)
    other = sqlite3.connect(tmp_path / "payhub.db", timeout=0, isolation_level=None)
    with sqlite.database.engine.begin(), pytest.raises(sqlite3.OperationalError, match="database is locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_everything_that_may_write_takes_the_lock_first(sqlite: SqlJournal) -> None:
    """Each transaction that may write begins with the lock, on the hot path, too: none reads first and then waits."""
    sqlite.story("")  # makes the tables
    sqlite.close()
    said: list[str] = []
    sa.event.listen(sqlite.database.engine, "connect", lambda made, _: made.set_trace_callback(said.append))
    sqlite.open(facts(), 60.0)
    sqlite.settle(key(), found(State.PENDING, Source.ANSWER), NOW)
    sqlite.claim(1, 60.0)
    begun = [each for each in said if each.startswith("BEGIN")]
    assert ["BEGIN IMMEDIATE"] * 3 == begun


def test_what_was_written_is_there_for_others(sqlite: SqlJournal, tmp_path: Path) -> None:
    """When `open` returns, another program sees the order, and its journal file is not empty."""
    sqlite.open(facts(), 60.0)
    other = sqlite3.connect(tmp_path / "payhub.db")
    assert [("po-1", "sending")] == other.execute("SELECT order_id, state FROM payhub_orders").fetchall()
    other.close()


def test_tables_come_on_first_use(sqlite: SqlJournal, tmp_path: Path) -> None:
    """A journal in SQLite needs no preparation, and opening it writes nothing yet."""
    assert not (tmp_path / "payhub.db").exists()
    sqlite.open(facts(), 60.0)
    assert {f"payhub_{name}" for name in TABLES} == set(sa.inspect(sqlite.database.engine).get_table_names())


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    """A file of another kind is refused, and stays as it is."""
    path = tmp_path / "payhub.db"
    path.write_text("these are my notes, and no database\n" * 100)
    journal = SqlJournal(f"sqlite:///{path}")
    with pytest.raises(JournalFailed, match="file is not a database"):
        journal.open(facts(), 60.0)
    assert "these are my notes, and no database\n" * 100 == path.read_text()


def test_a_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """A file that cannot be made is refused."""
    with pytest.raises(JournalFailed, match="unable to open database file"):
        SqlJournal(f"sqlite:///{tmp_path}/no/payhub.db").open(facts(), 60.0)


# What cannot be a journal


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:sesame@h/d",
        "no-such://u:sesame@h/d",
        "sesame",
        "payhub.db",
        "sqlite://payhub.db",
        "postgresql+x://",
        "postgres://u:sesame@h/d",
        "postgresql+psycopg2://u:sesame@h/d",
        "postgresql+psycopg_async://u:sesame@h/d",
        "postgresql+asyncpg://u:sesame@h/d",
        "sqlite+aiosqlite:///payhub.db",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    """A database that payhub cannot keep orders in is refused when it is opened; no password is quoted."""
    with pytest.raises(JournalFailed, match=r"^journal\.url: .*(is needed|needs a file)") as caught:
        SqlJournal(url)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "prefix", ["", "Payhub_", "1pay_", "_pay", "pay-hub", "pay hub", "pay.", 'x"; --', "é_", "x" * 22, "p\n"]
)
def test_a_silly_prefix_is_refused(prefix: str) -> None:
    """A prefix is a short word of small letters, digits and underscores."""
    with pytest.raises(JournalFailed, match=r"^journal\.prefix: "):
        SqlJournal("sqlite:///x.db", prefix)


# Beside the application's own


def test_the_prefix_is_honoured(empty: Place) -> None:
    """All tables, and no other, begin with the configured prefix."""
    engine = empty.engine()
    upgrade(engine, "shop_pay_")
    assert {f"shop_pay_{name}" for name in TABLES} == set(sa.inspect(engine).get_table_names())


def test_two_prefixes_live_in_one_database(empty: Place) -> None:
    """Two journals in one database do not know of each other; one prefix may begin the other."""
    journals = [SqlJournal(empty.url, prefix) for prefix in ("pay", "pay_orders_")]
    for journal in journals:
        upgrade(journal.database.engine, journal.database.prefix)
        assert journal.open(facts(), 60.0).yours
        brought(journal, State.SUCCEEDED, f"of-{journal.database.prefix}")
        journal.close()
    assert [None, None] == [journals[0].find(key("of-pay_orders_")), journals[1].find(key("of-pay"))]
    for journal in journals:
        journal.close()


def own(name: str) -> sa.TableClause:
    """Name a table of the application's."""
    return sa.table(name, sa.column("id"), sa.column("note"))


def test_the_applications_own_tables_are_untouched(empty: Place) -> None:
    """Tables of the application's, also such as sound alike, keep their form and rows."""
    engine = empty.engine()
    with engine.begin() as connection:
        for name in ("orders", "payhub", "payhubber", "alembic_version"):
            connection.execute(sa.text(f"CREATE TABLE {name} (id integer, note text)"))
            connection.execute(sa.insert(own(name)).values(id=1, note="mine"))
    upgrade(engine, PREFIX)
    journal = SqlJournal(empty.url, PREFIX)
    brought(journal, State.SUCCEEDED)
    journal.close()
    with engine.connect() as connection:
        rows = [connection.execute(sa.select(own(name))).all() for name in ("orders", "payhub", "payhubber")]
    assert [[(1, "mine")]] * 3 == rows
    names = {"orders", "payhub", "payhubber", "alembic_version"} | {f"{PREFIX}{name}" for name in TABLES}
    assert names == set(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize(("role", "expected"), [("off", "on"), ("local", "local"), ("on", "on")])
def test_what_postgresql_commits_is_on_its_disk(server: Server, role: str, expected: str) -> None:
    """A database whose commits do not wait for the disk is made to wait; a stronger or another setting is left."""
    with server.another() as place:
        server.run(f"ALTER DATABASE {place.engine().url.database} SET synchronous_commit = {role}")
        journal = SqlJournal(place.url)
        with journal.database.engine.connect() as connection:
            assert expected == connection.exec_driver_sql("SHOW synchronous_commit").scalar()
        journal.close()


ISOLATION = ["repeatable read", "serializable"]


@pytest.mark.parametrize("level", ISOLATION)
def test_postgresql_reads_what_others_have_committed(server: Server, level: str) -> None:
    """Stricter isolation of a database is relaxed: a transaction that waited for a row then reads it as it is."""
    with server.another() as place:
        server.run(f"ALTER DATABASE {place.engine().url.database} SET default_transaction_isolation = '{level}'")
        journal = SqlJournal(place.url)
        with journal.database.engine.connect() as connection:
            theirs = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
        raw = journal.database.engine.raw_connection()
        ours = raw.cursor().execute("SHOW transaction_isolation").fetchone()
        raw.close()
        assert ("read committed", ("read committed",)) == (theirs, ours)
        journal.close()


# PostgreSQL without tables


def test_postgresql_without_tables_says_what_to_do(server: Server) -> None:
    """PostgreSQL's tables are made with a command, by a role that may; until then nothing is sent."""
    with server.another() as place:
        journal = SqlJournal(place.url)
        with pytest.raises(
            JournalFailed, match=r"^the journal failed: it has no tables; make them: payhub journal init$"
        ):
            journal.open(facts(), 60.0)
        journal.close()


# Migrations


def test_the_newest_version_is_the_newest_migration() -> None:
    """The version that a journal expects is the one that the migrations end with."""
    engine = sa.create_engine("sqlite://", poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert HEAD == ScriptDirectory.from_config(configuration(connection, PREFIX)).get_current_head()


def test_the_migrations_make_what_the_tables_say(empty: Place) -> None:
    """What the migrations make is what the program expects: tables, columns, types, indexes, constraints."""
    engine = empty.engine()
    upgrade(engine, "shop_")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": version_table("shop_"), "compare_server_default": True}
        )
        assert [] == compare_metadata(context, tables("shop_").metadata)


def test_the_migrations_make_no_checks(empty: Place) -> None:
    """No table has a CHECK, for SQLite could not learn another word without rebuilding the table."""
    upgrade(empty.engine(), PREFIX)
    inspected = sa.inspect(empty.engine())
    assert [] == [check for name in inspected.get_table_names() for check in inspected.get_check_constraints(name)]


def test_upgrading_twice_does_nothing(empty: Place) -> None:
    """The first upgrade makes the tables, the second one finds them; orders stay."""
    engine = empty.engine()
    assert [True, False] == [upgrade(engine, PREFIX) for _ in range(2)]
    journal = SqlJournal(empty.url, PREFIX)
    record = brought(journal, State.PENDING, schedule=LATER)
    assert (False, record) == (upgrade(engine, PREFIX), journal.find(key()))
    journal.close()


def test_an_upgrade_is_done_whole_or_not_at_all(empty: Place) -> None:
    """An upgrade that fails in its middle leaves nothing behind."""
    engine = SqlJournal(empty.url, PREFIX).database.engine
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {PREFIX}settings (id integer)"))  # the last table it makes
    with pytest.raises(sa.exc.DBAPIError):
        upgrade(engine, PREFIX)
    assert [f"{PREFIX}settings"] == sa.inspect(engine).get_table_names()
    engine.dispose()


def test_tables_of_a_newer_payhub_are_refused(empty: Place) -> None:
    """Tables that a later payhub made are not touched: the journal says so, and nothing is sent."""
    engine = empty.engine()
    upgrade(engine, PREFIX)
    with engine.begin() as connection:
        kept = sa.table(version_table(PREFIX), sa.column("version_num"))
        connection.execute(sa.update(kept).values(version_num="9999"))
    with pytest.raises(
        JournalFailed,
        match="^the journal failed: its tables are of version 9999, which a newer payhub has made; this payhub knows "
        f"{HEAD}, and sends nothing: install the newer payhub again$",
    ):
        upgrade(engine, PREFIX)
    with engine.connect() as connection:
        assert "9999" == version(connection, PREFIX)
    journal = SqlJournal(empty.url, PREFIX)
    with pytest.raises(JournalFailed, match="tables are of version 9999"):
        journal.open(facts(), 60.0)
    journal.close()
    with engine.connect() as connection:
        assert 0 == connection.execute(sa.select(sa.func.count()).select_from(sa.table(f"{PREFIX}orders"))).scalar()
