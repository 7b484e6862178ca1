"""A journal that fails, for real: what it means for money."""

import contextlib
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from payhub import ConfigurationError, Status
from payhub.errors import JournalFailed
from payhub.journal import Key, OrderFilter, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import upgrade
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Server, Shop
from .making import PREFIX, facts

PO_1 = Key("shop", "payout", "po-1")
PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")
CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done"))


@pytest.fixture
def url() -> None:
    """Leave the matrix of journals out: every test here has a database of its own, and breaks it."""


def impatient(journal: Any) -> None:
    """Let a journal's connections to SQLite give up waiting for a lock after a moment, not after ten seconds."""
    journal.close()
    sa.event.listen(
        journal.database.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 50")
    )


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold a SQLite database, as another program may."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def refused(shop: Shop, reason: str, order: Any = PAYOUT) -> None:
    """See that an order is not sent, and why."""
    with pytest.raises(JournalFailed, match=rf"^the journal failed: .*{reason}"):
        shop.hub.create_payout("shop", order)
    assert [] == shop.sent


# Before sending


def test_rule_1_without_postgresql_nothing_is_sent(open_shop: OpenShop) -> None:
    """Rule 1: if the database cannot be reached, nothing is sent, and the order may go elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused(open_shop(CREATED, where=f"postgresql+psycopg://u:sesame@127.0.0.1:{port}/shop"), "connection failed")


def test_rule_1_without_tables_nothing_is_sent(open_shop: OpenShop, server: Server) -> None:
    """Rule 1: if the database has no tables, nothing is sent, and the error says what to do."""
    with server.another() as place:
        refused(open_shop(CREATED, where=place.url), "payhub journal init")


def test_rule_1_with_a_locked_database_nothing_is_sent(open_shop: OpenShop, tmp_path: Path) -> None:
    """Rule 1: if another program holds the file, nothing is sent; when it lets go, the same order is."""
    shop = open_shop(CREATED, where=f"sqlite:///{tmp_path}/payhub.db")
    shop.journal.story("")
    impatient(shop.journal)
    with locked(f"{tmp_path}/payhub.db"):
        refused(shop, "database is locked")
    assert (Status.PENDING, ["payouts"]) == (shop.hub.create_payout("shop", PAYOUT).status, shop.sent)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Be a user who owns nothing here, where the tests run as root: root may write what is read-only."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_rule_1_with_a_read_only_file_nothing_is_sent(open_shop: OpenShop) -> None:
    """Rule 1: if the file cannot be written, nothing is sent; when it can, the same order is."""
    directory = Path(tempfile.mkdtemp(prefix="payhub-", dir="/tmp"))
    shop = open_shop(answer(known(PO_2)), CREATED, where=f"sqlite:///{directory}/payhub.db")
    shop.hub.create_payout("shop", PO_2)  # whatever is loaded late is loaded now, while it may be read
    shop.journal.close()
    (directory / "payhub.db").chmod(0o444)
    directory.chmod(0o555)
    before = len(shop.sent)
    with nobody(), pytest.raises(JournalFailed, match=r"^the journal failed: .*(readonly|unable to open)"):
        shop.hub.create_payout("shop", PAYOUT)
    directory.chmod(0o755)
    (directory / "payhub.db").chmod(0o644)
    assert (before, Status.PENDING) == (len(shop.sent), shop.hub.create_payout("shop", PAYOUT).status)
    shop.journal.close()
    shutil.rmtree(directory)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_read_only_copy_can_be_read(open_shop: OpenShop, mode: str) -> None:
    """A copy for support can be read without the right to write it; nothing is sent because of it."""
    directory = Path(tempfile.mkdtemp(prefix="payhub-", dir="/tmp"))
    url = f"sqlite:///{directory}/payhub.db"
    shop = open_shop(CREATED, where=url)
    shop.hub.create_payout("shop", PAYOUT)
    shop.journal.close()
    with contextlib.closing(sqlite3.connect(directory / "payhub.db")) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
    (directory / "payhub.db").chmod(0o444)
    directory.chmod(0o777)
    copy = SqlJournal(url, PREFIX)
    with nobody():
        told = (
            copy.story("po-1"),
            copy.search(OrderFilter(tail="1111"), 1),
            copy.unsettled(0.0, 1),
            copy.notifications(1),
        )
        with pytest.raises(JournalFailed, match="readonly"):
            copy.open(facts("po-2"), 60.0)
    assert ([State.PENDING], 3, 1, (), ()) == (
        [each.state for each in told[0][0]], len(told[0][1]), len(told[1]), *told[2:]
    )  # fmt: skip
    copy.close()
    shutil.rmtree(directory)


def test_reading_waits_for_nobody(tmp_path: Path) -> None:
    """Reading a journal neither waits for a writer nor keeps one waiting."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db", PREFIX)
    journal.open(facts(), 60.0)
    with locked(f"{tmp_path}/payhub.db"):
        assert 1 == len(journal.story("po-1")[0])
    journal.close()


def test_rule_1_with_a_full_database_nothing_is_sent(open_shop: OpenShop, tmp_path: Path) -> None:
    """Rule 1: if the file may not grow any more, nothing is sent."""
    shop = open_shop(CREATED, where=f"sqlite:///{tmp_path}/payhub.db")
    shop.journal.story("")
    shop.journal.close()
    sa.event.listen(shop.journal.database.engine, "connect", lambda made, _: made.execute("PRAGMA max_page_count = 1"))
    for longer in ("x" * 200, ""):  # until the pages that it has are full, for the smallest order, too
        with contextlib.suppress(JournalFailed):
            for number in range(2, 1000):
                shop.journal.open(facts(f"po-{number}{longer}"), 60.0)
    refused(shop, "database or disk is full")


# After sending


class Failing:
    """Make the journal fail while a payout is being answered, until it is mended."""

    def __init__(self, place: Place, running: Server | None) -> None:
        self.place = place
        self.running = running
        self.stack = contextlib.ExitStack()

    def __call__(self, connection: Any) -> None:
        if self.running is None:
            self.stack.enter_context(locked(self.place.url.removeprefix("sqlite:///")))
        else:
            name = self.place.url.partition("@/")[2].partition("?")[0]
            self.running.run(
                f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'journal_%'",
            )
            self.stack.callback(self.running.run, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        connection.sendall(CREATED)


@pytest.fixture
def failing(empty: Place, request: pytest.FixtureRequest) -> Iterator[Failing]:
    running = request.getfixturevalue("server") if empty.backend == "postgresql" else None
    prepared = SqlJournal(empty.url, PREFIX)
    upgrade(prepared.database.engine, PREFIX)
    prepared.close()
    act = Failing(empty, running)
    with act.stack:
        yield act


def test_a_journal_that_fails_after_sending_hides_no_result(open_shop: OpenShop, failing: Failing) -> None:
    """What could not be written after sending is returned and logged as critical, and the next sweep finds it."""
    shop = open_shop(failing, DONE, where=failing.place.url, journal={"lease": 1.5}, transport={"deadline": 0.5})
    if failing.place.backend == "sqlite":
        shop.journal.story("")
        impatient(shop.journal)
    with capture_logs() as logs:
        result = shop.hub.create_payout("shop", PAYOUT)
    failing.stack.close()
    critical = [log for log in logs if log["log_level"] == "critical"]
    assert (Status.PENDING, "7") == (result.status, result.provider_id)
    assert [("payhub.journal_failed", "shop", "payout", "pending")] == [
        (log["event"], log["account"], log["kind"], log["state"]) for log in critical
    ]
    assert State.SENDING is shop.journal.find(PO_1).state
    while not (swept := shop.hub.sweep()):
        time.sleep(0.02)
    assert ([Status.SUCCEEDED], ["payouts", "payouts/find"]) == ([each.status for each in swept], shop.sent)


def test_a_question_is_answered_without_the_journal(open_shop: OpenShop, tmp_path: Path) -> None:
    """A journal that fails does not keep the application from asking for a status."""
    shop = open_shop(CREATED, DONE, where=f"sqlite:///{tmp_path}/payhub.db")
    shop.hub.create_payout("shop", PAYOUT)
    impatient(shop.journal)
    with locked(f"{tmp_path}/payhub.db"), capture_logs() as logs:
        result = shop.hub.fetch_payout("shop", order_id="po-1")
    assert (Status.SUCCEEDED, {"critical"}) == (
        result.status, {log["log_level"] for log in logs if log["event"] == "payhub.journal_failed"}
    )  # fmt: skip


def test_a_sweep_says_that_it_cannot(open_shop: OpenShop, tmp_path: Path) -> None:
    """A sweep that cannot read the journal raises, and asks nobody."""
    shop = open_shop(DONE, where=f"sqlite:///{tmp_path}/payhub.db")
    shop.journal.story("")
    impatient(shop.journal)
    with locked(f"{tmp_path}/payhub.db"), pytest.raises(JournalFailed, match="database is locked"):
        shop.hub.sweep()
    assert [] == shop.sent


def test_a_database_that_came_back_is_used_again(server: Server) -> None:
    """Connections that PostgreSQL has cut are replaced: after a restart the journal goes on."""
    place = server.emptied()
    journal = SqlJournal(place.url, PREFIX)
    assert None is journal.find(PO_1)
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    assert None is journal.find(PO_1)
    journal.close()


@pytest.mark.parametrize("where", ["mysql://root:sesame@h/d", "sqlite:///:memory:", "postgresql+nothing://x/y"])
def test_a_journal_that_cannot_be_is_a_mistake_of_the_configuration(open_shop: OpenShop, where: str) -> None:
    """A journal that can never work is refused when the hub is opened; no password is quoted."""
    with pytest.raises(ConfigurationError, match=r"^journal\.url: ") as caught:
        open_shop(CREATED, where=where)
    assert "sesame" not in str(caught.value)
