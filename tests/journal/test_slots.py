"""A journal reserves the instants at which an account's calls may leave."""

import itertools
import math
import threading
from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from payhub.journal import Journal
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables

from .conftest import Place, Server
from .making import PREFIX
from .test_races import processes, together

SLOWLY = 1000.0  # seconds between calls: however long a test takes, it is a small part of that
LONG = SLOWLY * 1000
SLOTS = tables(PREFIX).slots


def places(waits: Iterable[float | None]) -> list[Any]:
    """Tell which place in the row each call got, or that it got none; a test takes no time worth counting."""
    return [None if wait is None else round(wait / SLOWLY) for wait in waits]


def test_calls_leave_an_interval_apart(journal: Journal) -> None:
    """The first call leaves now, each later one an interval after the one before it."""
    waits = [journal.reserve_slot("shop", SLOWLY, LONG) for _ in range(5)]
    assert [0, 1, 2, 3, 4] == places(waits)
    assert 0.0 == waits[0]
    assert all(SLOWLY * n - 100 < (wait or 0.0) <= SLOWLY * n for n, wait in enumerate(waits))


@pytest.mark.parametrize("rate", [400.0, 50.0, 3.0, 7.0, 999.0, 1000.0, 0.3])
def test_no_interval_is_cut_short(kept: SqlJournal, rate: float) -> None:
    """The reserved instants are 1/rate apart, in whole microseconds: never less, and never one microsecond more."""
    kept.reserve_slot("shop", 1 / rate, 0.0)
    ahead(kept, 60 * 1_000_000)  # a queue that is never empty, however slow the machine is
    instants = [reserved(kept)]
    for _ in range(20):
        assert kept.reserve_slot("shop", 1 / rate, LONG) is not None
        instants.append(reserved(kept))
    gaps = {later - earlier for earlier, later in itertools.pairwise(instants)}
    assert {math.ceil(1_000_000 / rate)} == gaps


def reserved(journal: SqlJournal) -> int:
    """Read the instant that was reserved last, in microseconds."""
    with journal.database.engine.connect() as connection:
        return int(connection.execute(sa.select(SLOTS.c.leaves_at)).scalar_one())


def ahead(journal: SqlJournal, micros: int, *, clock: int = 0) -> None:
    """Let the last reservation be later, and be made later, as by a clock that is ahead."""
    with journal.database.engine.begin() as connection:
        connection.execute(sa.update(SLOTS).values(leaves_at=SLOTS.c.leaves_at + micros, at=SLOTS.c.at + clock))


def test_what_is_too_late_is_not_reserved(journal: Journal) -> None:
    """If the next free instant is later than the patience, nothing is reserved; more patience gets it."""
    waits = [
        journal.reserve_slot("shop", SLOWLY, patience)
        for patience in (0.0, 0.0, SLOWLY - 100, SLOWLY, LONG, 2 * SLOWLY)
    ]
    assert [0, None, None, 1, 2, None] == places(waits)


def test_who_has_no_time_left_reserves_nothing(journal: Journal) -> None:
    """A call whose time is over does not take a place, not even the first one."""
    assert [None, 0] == places([journal.reserve_slot("shop", SLOWLY, patience) for patience in (-0.001, 0.0)])


def test_accounts_do_not_disturb_each_other(journal: Journal) -> None:
    """Each account has a row of its own."""
    waits = [journal.reserve_slot(account, SLOWLY, LONG) for account in ("shop", "other", "shop", "other", "third")]
    assert [0, 0, 1, 1, 0] == places(waits)


def test_a_call_after_a_pause_leaves_now(journal: Journal) -> None:
    """Where the interval has passed, the next free instant is now, and not one in the past."""
    waits = []
    for _ in range(3):
        waits.append(journal.reserve_slot("shop", 1e-6, 0.0))
        threading.Event().wait(0.01)
    assert [0.0, 0.0, 0.0] == waits


def test_a_pause_is_not_saved_up(kept: SqlJournal) -> None:
    """After an hour without calls they are an interval apart as before: there is no burst to make up for it."""
    kept.reserve_slot("shop", SLOWLY, 0.0)
    ahead(kept, -3600 * 1_000_000, clock=-3600 * 1_000_000)
    assert [0, 1, 2] == places([kept.reserve_slot("shop", SLOWLY, LONG) for _ in range(3)])


def test_a_changed_limit_holds_at_once(journal: Journal) -> None:
    """The next call keeps the distance of now from the one before it: a limit that was raised locks nobody out."""
    waits = [journal.reserve_slot("shop", interval, LONG) for interval in (SLOWLY * 100, SLOWLY, 3 * SLOWLY)]
    assert [0, 1, 4] == places(waits)


def test_threads_get_instants_of_their_own(journal: Journal) -> None:
    """Of eight threads that reserve at once each gets another instant, and none is left out."""
    waits = together(*[lambda: [journal.reserve_slot("shop", SLOWLY, LONG) for _ in range(5)]] * 8)
    assert list(range(40)) == sorted(places([wait for thread in waits for wait in thread]))


def test_processes_share_a_limit(place: Place) -> None:
    """Two processes that ask for more than fits get what fits, between them: rate * T + 1 different instants."""
    reports = processes(2, "paced", place.url, 20, SLOWLY, 9.5 * SLOWLY)
    granted = [wait for report in reports for wait in report if wait is not None]
    assert list(range(10)) == sorted(places(granted))


def test_processes_get_all_that_fits(place: Place) -> None:
    """Two processes that have patience get as many instants as they ask for, one after the other."""
    reports = processes(2, "paced", place.url, 20, SLOWLY, LONG)
    assert list(range(40)) == sorted(places(reports[0] + reports[1]))


@pytest.mark.parametrize("years", [0.0001, 1, 100])
def test_a_clock_that_was_set_back_locks_nobody_out(kept: SqlJournal, years: float) -> None:
    """What was reserved by a clock that was ahead counts from now: the queue is as long as it was, and no longer."""
    waits = [kept.reserve_slot("shop", SLOWLY, LONG) for _ in range(3)]
    wrong = int(years * 365 * 24 * 3600 * 1_000_000)
    ahead(kept, wrong, clock=wrong)
    waits += [kept.reserve_slot("shop", SLOWLY, LONG) for _ in range(2)]
    assert [0, 1, 2, 3, 4] == places(waits)


def test_a_clock_that_was_set_back_gives_no_burst(kept: SqlJournal) -> None:
    """Though the clock was set back, the next call keeps its distance from the last one."""
    assert 0.0 == kept.reserve_slot("shop", SLOWLY, 0.0)
    ahead(kept, 10**15, clock=10**15)
    assert [None, 1] == places([kept.reserve_slot("shop", SLOWLY, patience) for patience in (0.0, LONG)])


def test_machines_agree_by_the_clock_of_postgresql(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the server's clock counts; where this machine's says something else, nothing changes."""
    journal = SqlJournal(server.emptied().url, PREFIX)
    monkeypatch.delattr("payhub.journal.sql.journal._now")
    assert [0, 1, 2] == places([journal.reserve_slot("shop", SLOWLY, LONG) for _ in range(3)])
    journal.close()
