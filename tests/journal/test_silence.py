"""A PostgreSQL that is silent, takes no writes or cannot keep every text: nothing is sent, nothing waits for good."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from payhub import JournalFailed, Status
from payhub.cli import app
from payhub.journal import Source, State
from payhub.journal.sql import SqlJournal, database, postgresql
from payhub.journal.sql import journal as sql_journal
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Server, Shop
from .making import LATER, PREFIX, facts, found, key
from .test_failing import refused

CREATED = answer(known(PAYOUT))
DONE = answer(known(PAYOUT, status="done", paid="1000.44"))
PO_2 = msgspec.structs.replace(PAYOUT, order_id="po-2")

# The server of the tests listens on a socket in a directory of its own.
pytestmark = pytest.mark.block_network(allowed_hosts=["127.0.0.1", "localhost", "::1", "/tmp/payhub-.*"])


@pytest.fixture
def url() -> None:
    """Leave the matrix of journals out: every test here has a database of its own."""


class Proxy:
    """Stand between a journal and its server, and fall silent: what comes is taken, and nothing is passed on."""

    def __init__(self, target: str) -> None:
        self.silent = threading.Event()
        self.closing = threading.Event()  # new connections at once, which is sooner than to let them wait
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._target = target
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.closing.is_set():
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._open += [client, server]
            for pair in ((client, server), (server, client)):
                self._threads.append(threading.Thread(target=self._pass_on, args=pair, daemon=True))
                self._threads[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                if not self.silent.is_set():
                    target.sendall(chunk)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def stop(self) -> None:
        """Cut every connection."""
        for each in (self.listener, *self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
        for each in (self.listener, *self._open):
            each.close()


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Stand before the server, for journals that lose patience soon."""
    monkeypatch.setattr(postgresql, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(postgresql, "CONNECT_WITHIN", 1)
    between = Proxy(server.socket)
    yield between
    between.stop()


@pytest.fixture
def where(server: Server, proxy: Proxy) -> str:
    """Name the database as it is seen through the proxy."""
    server.emptied()
    return f"postgresql+psycopg://postgres:@127.0.0.1:{proxy.port}/postgres"


def test_rule_1_with_a_silent_database_nothing_is_sent(open_shop: OpenShop, proxy: Proxy, where: str) -> None:
    """A network that goes silent between two orders costs the second one its journal, within a bound."""
    shop = open_shop(CREATED, where=where)
    shop.hub.create_payout("shop", PAYOUT)
    proxy.silent.set()
    with pytest.raises(JournalFailed, match=r"^the journal failed: .*(silent|timeout)"):
        shop.hub.create_payout("shop", PO_2)
    assert ["payouts"] == shop.sent


def test_rule_1_with_a_database_that_takes_calls_and_says_nothing(
    open_shop: OpenShop, proxy: Proxy, where: str
) -> None:
    """A server that accepts a connection, and never says a word on it, is given up."""
    proxy.silent.set()
    refused(open_shop(CREATED, where=where), "timeout")


@pytest.mark.parametrize(("act", "status"), [(DONE, Status.SUCCEEDED), (b"", Status.UNKNOWN)])
def test_rule_3_a_database_that_falls_silent_after_sending_hides_nothing(
    open_shop: OpenShop, proxy: Proxy, where: str, act: bytes, status: Status
) -> None:
    """What came of sending is returned, within a bound, and known again when the database is."""

    def fall_silent(connection: socket.socket) -> None:
        proxy.closing.set()
        proxy.silent.set()
        connection.sendall(act)

    shop = open_shop(fall_silent, DONE, where=where)
    with capture_logs() as logs:
        result = shop.hub.create_payout("shop", PAYOUT)
    assert (status, ["payhub.journal_failed"]) == (
        result.status, [log["event"] for log in logs if log["log_level"] == "critical"]
    )  # fmt: skip
    proxy.silent.clear()
    proxy.closing.clear()
    assert (State.SENDING, ["payouts"]) == (shop.journal.find(key()).state, shop.sent)


def test_a_silent_database_keeps_nobody_from_asking(open_shop: OpenShop, proxy: Proxy, where: str) -> None:
    """The provider's answer is had without the journal; what only the journal knows is an error, within a bound."""
    shop = open_shop(CREATED, DONE, where=where)
    shop.hub.create_payout("shop", PAYOUT)
    proxy.closing.set()
    proxy.silent.set()
    assert Status.SUCCEEDED is shop.hub.fetch_payout("shop", order_id="po-1").status
    only_here: list[Callable[[], Any]] = [
        lambda: shop.hub.find("payout", "po-1"),
        lambda: shop.hub.advance("shop", "payout", "po-1"),
        shop.hub.sweep,
    ]
    for act in only_here:
        with pytest.raises(JournalFailed):
            act()


def test_statements_of_administration_may_take_longer(proxy: Proxy, where: str) -> None:
    """A statement that works for longer than an order may wait is let work, and the bound of orders is as before."""
    journal = SqlJournal(where, PREFIX)
    with journal.database.connection() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.6)")
    with pytest.raises(JournalFailed, match=r"silent for 0\.2 seconds"), journal.database.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    journal.close()


def test_a_lost_acknowledgement_is_not_looked_for_without_a_bound(
    open_shop: OpenShop, proxy: Proxy, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that falls silent at the commit: the look-ups end, and nothing is sent."""
    shop = open_shop(CREATED, where=where)
    shop.journal.find(key())
    keep = shop.journal._statements.attempt.run

    def last(cursor: Any, parameters: Any) -> Any:
        done = keep(cursor, parameters)
        proxy.closing.set()
        proxy.silent.set()
        return done

    monkeypatch.setattr(shop.journal._statements.attempt, "run", last)
    monkeypatch.setattr(sql_journal, "_LOOK_AGAIN", (0.0, 0.1))
    refused(shop, "silent")


# Demoted


def demote(journal: SqlJournal) -> None:
    """Let the server of the one open connection take no writes; the address leads to another, which does."""
    raw = journal.database.engine.raw_connection()
    raw.cursor().execute("SET default_transaction_read_only = on")
    raw.commit()
    raw.close()


def test_rule_1_a_demoted_primary_costs_one_call(open_shop: OpenShop, server: Server) -> None:
    """A server that is a standby by now takes nothing; its connections are dropped, and the next call finds another."""
    shop = open_shop(CREATED, answer(known(PO_2)), where=server.emptied().url)
    shop.hub.create_payout("shop", PAYOUT)
    demote(shop.journal)
    with pytest.raises(JournalFailed, match=r"^the journal failed: its database takes no writes"):
        shop.hub.create_payout("shop", PO_2)
    assert ["payouts"] == shop.sent
    assert Status.PENDING is shop.hub.create_payout("shop", PO_2).status


def test_rule_3_a_primary_demoted_while_sending_hides_nothing(open_shop: OpenShop, server: Server) -> None:
    """What was sent before the server was demoted is returned, and never an error."""
    opened: list[Shop] = []

    def demoted(_: socket.socket) -> None:
        demote(opened[0].journal)

    opened.append(open_shop(demoted, where=server.emptied().url))
    assert Status.UNKNOWN is opened[0].hub.create_payout("shop", PAYOUT).status


# Encodings


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1251", "SQL_ASCII"])
def test_a_database_that_cannot_keep_every_text_is_refused(
    open_shop: OpenShop, server: Server, encoding: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither `journal init` nor a hub takes it, and nothing is sent; the sentence says what to do."""
    options = f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with server.another(options) as place:
        shop = open_shop(CREATED, where=place.url)
        refused(shop, f"encoding {encoding}, .*make one with ENCODING 'UTF8'")
        written = tmp_path / "payhub.toml"
        written.write_text(f'[journal]\nurl = "{place.url}"\nkey = "{"k" * 32}"\n')
        assert 3 == app.run(["journal", "init", "--config", str(written)])
        assert f"encoding {encoding}" in capsys.readouterr().err
        shop.journal.close()


def test_what_a_client_is_set_to_changes_no_text(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client encoding of the environment's is not taken over: a provider's words are written down whole."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    journal = SqlJournal(server.emptied().url, PREFIX)
    journal.open(facts(), 60.0)
    words = "Отказано 😀"
    journal.settle(key(), found(State.UNKNOWN, Source.ANSWER, reason=words), LATER)
    record = journal.find(key())
    assert record is not None
    assert words == record.reason
    journal.close()


def test_a_thread_waits_for_its_turn_within_a_bound(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for others to be done with SQLite's file give up, and nothing was changed."""
    monkeypatch.setattr(database, "_TURN_WITHIN", 0.05)
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db")
    journal.find(key())
    with journal.database.cursor():
        raised: list[Exception] = []

        def wait() -> None:
            try:
                journal.open(facts(), 60.0)
            except JournalFailed as cause:
                raised.append(cause)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert ["the journal failed: other threads have used it for 0.05 seconds"] == [str(cause) for cause in raised]
    assert journal.find(key()) is None
    journal.close()
