import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from payhub import Money, Status
from payhub.journal import Journal, Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.migrate import HEAD, upgrade, version
from payhub.journal.sql.tables import tables
from tests.commands import environment
from tests.raw_server import Act, answer, close
from tests.samples import PAYOUT, known

from .conftest import KEY, OpenShop, Place, Server, Shop
from .making import NOW, PREFIX, brought, facts, found, key

T = TypeVar("T")


def together(*works: Callable[[], T]) -> list[T]:
    """Do things at the same moment, each in a thread of its own."""
    start = threading.Barrier(len(works))

    def one(work: Callable[[], T]) -> T:
        start.wait(30)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(one, works))


def processes(count: int, work: str, *arguments: object) -> list[Any]:
    """Do something in processes that begin at the same moment, and return what they report."""
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), json.dumps([work, *arguments])]
    started = [
        subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reports = [process.communicate(timeout=60)[0] for process in started]
    return [
        json.loads(report) if report else process.returncode for process, report in zip(started, reports, strict=True)
    ]


def test_of_eight_threads_one_sends(journal: Journal) -> None:
    """However many threads open the same order at once, it is one's to send."""
    for number in range(5):
        opened = together(*[lambda: journal.open(facts(f"po-{number}"), 60.0)] * 8)  # noqa: B023 - done in this turn
        assert [1, 8] == [sum(each.yours for each in opened), len(opened)]
        assert {1} == {each.record.attempts for each in opened}


def test_of_eight_threads_one_sends_again(journal: Journal) -> None:
    """What was not sent is one's to send again, and one's only."""
    brought(journal, State.NOT_SENT)
    opened = together(*[lambda: journal.open(facts(), 60.0)] * 8)
    assert (1, {2}) == (sum(each.yours for each in opened), {each.record.attempts for each in opened})


def test_of_three_processes_one_sends(empty: Place) -> None:
    """Each of many orders is one process's to send, from the first use of the database on."""
    if empty.backend == "postgresql":
        upgrade(empty.engine(), PREFIX)
    reports = processes(3, "opened", empty.url, 40)
    assert list(range(40)) == sorted(number for report in reports for number in report)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_who_loses_a_race_learns_who_won_it(server: Server, level: str) -> None:
    """However strictly a database isolates transactions, the second caller learns that the order is another's."""
    with server.another() as place:
        server.run(f"ALTER DATABASE {place.engine().url.database} SET default_transaction_isolation = '{level}'")
        upgrade(place.engine(), PREFIX)
        journals = [SqlJournal(place.url, PREFIX) for _ in range(4)]
        for order in [facts(f"po-{number}") for number in range(10)]:
            opened = together(*[lambda each=each, order=order: each.open(order, 60.0) for each in journals])
            assert (1, {State.SENDING}) == (sum(o.yours for o in opened), {o.record.state for o in opened})
        for journal in journals:
            journal.close()


def test_threads_do_not_claim_the_same_order(journal: Journal) -> None:
    """Within the lease, no two threads are given the same order."""
    names = [f"po-{number:02}" for number in range(40)]
    for name in names:
        brought(journal, State.PENDING, name, NOW)
    taken = together(*[lambda: [journal.claim(3, 60.0) for _ in range(8)]] * 8)
    given = sorted(key.order_id for thread in taken for claim in thread for key in claim)
    assert (len(given), names) == (len(set(given)), sorted({*given, *_rest(journal)}))


def _rest(journal: Journal) -> list[str]:
    """Claim what is left: on PostgreSQL a claim skips what another one is just taking."""
    return [key.order_id for key in journal.claim(100, 60.0)]


def test_processes_do_not_claim_the_same_order(kept: SqlJournal, place: Place) -> None:
    """Within the lease, no two processes are given the same order."""
    names = [f"po-{number:02}" for number in range(40)]
    for name in names:
        brought(kept, State.PENDING, name, NOW)
    reports = processes(2, "claimed", place.url, 3)
    given = sorted(name for report in reports for name in report)
    assert (len(given), names) == (len(set(given)), sorted({*given, *_rest(kept)}))


def test_a_claim_survives_a_crash(kept: SqlJournal, place: Place) -> None:
    """An order whose claimer died is due again when the lease ends."""
    brought(kept, State.UNKNOWN, schedule=NOW)
    assert [7] == processes(1, "crashed", place.url, 0.5)
    while not (again := kept.claim(1, 60.0)):
        time.sleep(0.01)
    assert (key(),) == again


def test_evidence_from_everywhere_is_counted(journal: Journal) -> None:
    """Evidence that eight threads bring at once is all kept."""
    brought(journal, State.PENDING)
    together(*[lambda: journal.settle(key(), found(State.PENDING, provider_status="x"), NOW)] * 8)
    assert 8 == journal.story("po-1")[1][-1].times


def test_of_many_ends_one_is_taken(journal: Journal) -> None:
    """Of contradicting answers that come at once one is applied, and each other one is flagged."""
    brought(journal, State.PENDING)
    ends = [State.SUCCEEDED, State.FAILED, State.NEEDS_ATTENTION]
    together(*[lambda end=end: journal.settle(key(), found(end), NOW) for end in ends])
    told = journal.story("po-1")[1][-3:]
    record = journal.find(key())
    assert record is not None
    assert 1 <= sum(not entry.contradicts for entry in told) <= 2  # needs_attention may come first, and be settled
    assert [record.state] == [entry.evidence and entry.evidence.state for entry in told if not entry.contradicts][-1:]


# One order, advanced from everywhere


def advanced(open_shop: OpenShop, place: Place, act: Act) -> tuple[Shop, SqlJournal]:
    """Have a payout that the provider has paid, and whose create nobody here has seen answered."""
    shop = open_shop(act, answer(known(PAYOUT, status="done", paid="1000.44")), where=place.url)
    assert Status.UNKNOWN is shop.hub.create_payout("shop", PAYOUT).status
    return shop, shop.journal


def settled_once(shop: Shop, journal: Journal, askers: int) -> None:
    """See that the order was sent once, only asked about then, and settled by one answer, which the others repeat."""
    records, entries = journal.story("po-1")
    paths = Counter(shop.sent)
    assert ({"payouts", "payouts/find"}, 1) == (set(paths), paths["payouts"])
    assert 1 <= paths["payouts/find"] <= askers
    assert [(State.SUCCEEDED, 1, False)] == [(each.state, each.attempts, each.contradicted) for each in records]
    said = [entry for entry in entries if entry.evidence and entry.evidence.source is Source.STATUS]
    assert [(State.SUCCEEDED, paths["payouts/find"])] == [
        (entry.evidence and entry.evidence.state, entry.times) for entry in said
    ]


@pytest.mark.parametrize("url", [None])
@pytest.mark.parametrize("act", [close, answer(b"", 500)], ids=["cut", "500"])
def test_eight_threads_advance_one_order(open_shop: OpenShop, place: Place, act: Act) -> None:
    """Threads that advance one order at once only ask; the order is settled once, and all hear the same."""
    shop, journal = advanced(open_shop, place, act)
    results = together(*[lambda: shop.hub.advance("shop", "payout", "po-1")] * 8)
    assert [(Status.SUCCEEDED, Money("1000.44", "RUB"))] * 8 == [(each.status, each.paid) for each in results]
    settled_once(shop, journal, 8)


@pytest.mark.parametrize("url", [None])
def test_two_processes_advance_one_order(open_shop: OpenShop, place: Place) -> None:
    """So do processes, each with eight threads."""
    shop, journal = advanced(open_shop, place, close)
    assert shop.server is not None
    reports = processes(2, "advanced", place.url, shop.server.url, KEY)
    assert [["succeeded"] * 8] * 2 == reports
    settled_once(shop, journal, 16)


# PostgreSQL: SKIP LOCKED


def test_a_claim_skips_what_is_being_changed(server: Server) -> None:
    """On PostgreSQL a claim does not wait for an order that another transaction holds: it takes the next one."""
    place = server.emptied()
    journal = SqlJournal(f"{place.url}&options=-c%20lock_timeout%3D10000", PREFIX)
    for name in ("po-1", "po-2"):
        brought(journal, State.PENDING, name, NOW)
    with place.engine().begin() as other:
        orders = tables(PREFIX).orders
        other.execute(sa.select(orders).where(orders.c.order_id == "po-1").with_for_update())
        assert ["po-2"] == _rest(journal)
    assert ["po-1"] == _rest(journal)
    journal.close()


# Upgrades


def test_two_processes_upgrade_at_once(empty: Place) -> None:
    """Of processes that make the tables at the same moment one does it, and the others find them."""
    assert [False, False, True] == sorted(processes(3, "upgraded", empty.url))
    with empty.engine().connect() as connection:
        assert HEAD == version(connection, PREFIX)


def test_many_journals_begin_in_one_process(tmp_path: Path) -> None:
    """Threads that make the tables of different databases do not disturb each other."""
    journals = [SqlJournal(f"sqlite:///{tmp_path}/{number}.db") for number in range(6)]
    opened = together(*[lambda journal=journal: journal.open(facts(), 60.0) for journal in journals])
    assert [True] * 6 == [each.yours for each in opened]
    for journal in journals:
        journal.close()


def test_a_journal_begins_in_many_threads(tmp_path: Path) -> None:
    """SQLite's tables come on first use, also when eight threads are first."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db")
    opened = together(*[lambda: journal.open(facts(), 60.0)] * 8)
    assert 1 == sum(each.yours for each in opened)
    journal.close()


# The key of the fingerprints


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """Processes that need the key at the same moment get the same one, and nothing else is left behind."""
    keys = processes(3, "key", str(tmp_path))
    path = tmp_path / "payhub.key"
    assert ({path.read_text()}, ["payhub.key"], 0o600, 64) == (
        set(keys), [each.name for each in tmp_path.iterdir()], path.stat().st_mode & 0o777, len(keys[0])
    )  # fmt: skip
