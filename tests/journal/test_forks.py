import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from payhub import Hub, hookimpl
from payhub.journal.sql import SqlJournal
from payhub.testing import fake
from tests.forking import forked

from .conftest import Place
from .making import PREFIX, facts, key

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")

CHILDREN = 4
ORDERS = 30


def at(moment: float, journal: SqlJournal) -> Callable[[], list[int]]:
    """Open every order, beginning at a moment, and return the numbers of those that are to be sent."""

    def opened() -> list[int]:
        time.sleep(max(0.0, moment - time.monotonic()))
        return [number for number in range(ORDERS) if journal.open(facts(f"po-{number}"), 60.0).yours]

    return opened


def test_children_of_a_process_that_used_its_journal_share_no_connection(kept: SqlJournal) -> None:
    """Of children that open the same orders at once each order is given to one, and is written down."""
    kept.open(facts("before"), 60.0)
    moment = time.monotonic() + 0.3
    reports = [report() for report in [forked(at(moment, kept)) for _ in range(CHILDREN)]]
    assert list(range(ORDERS)) == sorted(number for report in reports for number in report)
    assert [True] * ORDERS == [kept.find(key(f"po-{number}")) is not None for number in range(ORDERS)]
    assert not kept.open(facts("before"), 60.0).yours


def test_the_parent_goes_on_beside_its_children(kept: SqlJournal) -> None:
    """A parent that opens the same orders as its children gets those that no child got."""
    kept.open(facts("before"), 60.0)
    moment = time.monotonic() + 0.3
    waiting = [forked(at(moment, kept)) for _ in range(CHILDREN - 1)]
    given = at(moment, kept)()
    given += [number for report in waiting for number in report()]
    assert list(range(ORDERS)) == sorted(given)


def test_a_grandchild_is_no_other(kept: SqlJournal) -> None:
    """What holds for a child holds for its children."""
    kept.open(facts(), 60.0)

    def child() -> list[Any]:
        mine = kept.open(facts("po-child"), 60.0).yours
        return [mine, forked(lambda: [kept.open(facts(name), 60.0).yours for name in ("po-child", "po-new")])()]

    assert [True, [False, True]] == forked(child)()


def test_a_child_that_closes_leaves_its_parents_connections(kept: SqlJournal) -> None:
    """A child that has opened nothing ends no session of its parent's, not even in the midst of a transaction."""
    kept.open(facts(), 60.0)
    reading, writing = os.pipe()

    def closing() -> None:
        os.read(reading, 1)
        kept.close()

    report = forked(closing)

    with kept.database.cursor() as cursor:
        os.write(writing, b"x")
        assert [None, 7] == [report(), cursor.execute("SELECT 7").fetchone()[0]]
    os.close(reading)
    os.close(writing)


def test_a_fork_while_an_account_is_opened_hangs_nobody() -> None:
    """A child of a process one of whose threads is just opening an account, or is at a journal in memory, goes on."""
    inside = threading.Event()

    class Slow:
        @hookimpl
        def payhub_provider(self) -> Any:
            def connect(config: Any) -> Any:
                inside.set()
                time.sleep(0.5)
                return fake.connect(config)

            return msgspec.structs.replace(fake.payhub_provider(), name="slow", connect=connect)

    tables = {"accounts": {"shop": {"provider": "slow", "base_url": "http://127.0.0.1:9"}}}
    with Hub.from_mapping(tables, plugins=(Slow(),)) as hub:
        thread = threading.Thread(target=hub.registry.account, args=["shop"])
        thread.start()
        inside.wait()
        report = forked(lambda: hub.registry.account("shop").name)
        thread.join()
        assert "shop" == report()


def test_a_fork_in_the_midst_of_a_transaction_hangs_nobody(kept: SqlJournal) -> None:
    """A child that is forked while a thread of the parent's is at work writes, and so does the parent."""
    inside = threading.Event()

    def slowly() -> None:
        with kept.database.connection():
            inside.set()
            time.sleep(0.5)

    kept.open(facts(), 60.0)
    thread = threading.Thread(target=slowly)
    thread.start()
    inside.wait()
    report = forked(lambda: kept.open(facts("po-child"), 60.0).yours)
    thread.join()
    assert (True, True) == (report(), kept.open(facts("po-parent"), 60.0).yours)
    assert kept.find(key("po-child")) is not None


def test_a_fork_during_the_first_use_hangs_nobody(tmp_path: Any) -> None:
    """A child that is forked while a thread makes SQLite's tables finds them."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db", PREFIX)
    thread = threading.Thread(target=journal.open, args=[facts(), 60.0])
    thread.start()
    time.sleep(0.01)
    report = forked(lambda: journal.open(facts("po-child"), 60.0).yours)
    thread.join()
    assert report()
    journal.close()


def test_threads_that_fork_at_once_do_not_wait_for_each_other(kept: SqlJournal) -> None:
    """Several threads that use a journal and fork go on, and so do all their children."""
    given: list[Any] = []

    def one(number: int) -> None:
        kept.open(facts(f"parent-{number}"), 60.0)
        given.append(forked(lambda: kept.open(facts(f"child-{number}"), 60.0).yours)())

    threads = [threading.Thread(target=one, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 3 == given


def silently() -> int:
    """Fork as a server that is written in C does: Python hears nothing of it."""
    return int(ctypes.PyDLL(None).fork())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may forbid it")
def test_a_fork_that_python_does_not_know_of(place: Place) -> None:
    """PostgreSQL is connected to anew; SQLite's file, which was open, is refused, and so nothing is sent."""
    journal = SqlJournal(place.url, PREFIX)
    assert forked(lambda: journal.open(facts(), 60.0).yours, silently)()  # not used before, so nothing is shared
    journal.open(facts("before"), 60.0)
    report = forked(lambda: journal.open(facts("po-2"), 60.0).yours, silently)()
    if place.backend == "postgresql":
        assert report is True
    else:
        assert report.startswith("JournalFailed: the journal failed: this process was forked by other means than")
    assert journal.open(facts("after"), 60.0).yours
    journal.close()
