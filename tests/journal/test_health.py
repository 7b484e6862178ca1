"""Health: whether somebody asks about the orders that are due, and what waits for a person."""

import datetime as dt

import pytest
import sqlalchemy as sa

from payhub.journal import Health, Journal, Key, Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from tests.raw_server import answer, close
from tests.samples import PAYOUT, known

from .conftest import OpenShop
from .making import LATER, NOW, PREFIX, age, brought, found, key


def test_an_empty_journal_is_healthy(journal: Journal) -> None:
    """Where there is no order, nothing is overdue, nothing waits, and no sweep has been needed."""
    found = journal.health(900.0, 3600.0)
    assert (True, Health(at=found.at)) == (found.healthy, found)


def test_orders_about_which_nobody_asks_are_overdue(journal: Journal) -> None:
    """An order that was due long ago is counted, and the first of them is named; it is listed with the unsettled."""
    for name in ("po-1", "po-2"):
        brought(journal, State.PENDING, name, NOW)
    brought(journal, State.PENDING, "po-3", LATER)
    assert journal.health(900.0, 3600.0).healthy
    assert () == journal.unsettled(0.0, 10)
    age(journal, minutes=20)
    late = journal.health(900.0, 3600.0)
    assert (False, 2, key("po-1"), 0) == (late.healthy, late.overdue, late.oldest, late.waiting)
    assert late.oldest_due_at is not None
    assert dt.timedelta(minutes=20) < late.at - late.oldest_due_at < dt.timedelta(minutes=25)
    assert ["po-1", "po-2"] == [record.facts.order_id for record in journal.unsettled(0.0, 10)]
    assert ((), True) == (journal.unsettled(0.0, 10, 3600.0), journal.health(3600.0, 3600.0).healthy)


def test_a_dead_sender_that_nobody_finds_is_overdue_and_waits(journal: Journal) -> None:
    """An order whose sender did not report, and about which nobody asks, is listed once."""
    brought(journal, State.SENDING)
    age(journal, hours=2)
    late = journal.health(900.0, 3600.0)
    assert (1, 1, 0, 1) == (late.overdue, late.waiting, late.unknown, len(journal.unsettled(0.0, 10)))


def test_what_waits_for_a_person_is_counted(journal: Journal) -> None:
    """Each kind of doubt is counted; a sweep has an hour to find out before an order counts as waiting."""
    for state in (State.UNKNOWN, State.NEEDS_ATTENTION, State.SUCCEEDED, State.PENDING, State.FAILED):
        brought(journal, state, f"po-{state}")
    journal.settle(key("po-failed"), found(State.SUCCEEDED), LATER)
    now = journal.health(900.0, 3600.0)
    assert (1, 1, 1, 0) == (now.unknown, now.needs_attention, now.contradicted, now.waiting)
    assert now.healthy
    age(journal, hours=2)
    later = journal.health(1e6, 3600.0)
    assert (1, 1, 1, 3, False) == (
        later.unknown, later.needs_attention, later.contradicted, later.waiting, later.healthy
    )  # fmt: skip


def test_a_damaged_order_is_counted(kept: SqlJournal) -> None:
    """Health reads no order, so one that cannot be read is not missed."""
    brought(kept, State.UNKNOWN, schedule=NOW)
    orders = tables(PREFIX).orders
    with kept.database.engine.begin() as connection:
        connection.execute(sa.update(orders).values(amount="1000,00"))
    age(kept, hours=2)
    damaged = kept.health(900.0, 3600.0)
    assert (1, key(), 1) == (damaged.overdue, damaged.oldest, damaged.waiting)


def test_a_sweep_leaves_a_mark(open_shop: OpenShop) -> None:
    """A sweep that has come to its end is noted, also if nothing was due; one that was left is not."""
    shop = open_shop(close, answer(known(PAYOUT, status="done", paid="1000.44")))
    shop.hub.create_payout("shop", PAYOUT)
    before = shop.hub.health()
    shop.hub.sweep()
    after = shop.hub.health()
    assert (None, True) == (before.swept_at, after.swept_at is not None)
    assert abs(after.at - after.swept_at) < dt.timedelta(minutes=1)


def test_nobody_sweeps(open_shop: OpenShop) -> None:
    """Ten days without a sweep: what was paid long ago is overdue, to hub and operator, until somebody asks."""
    shop = open_shop(answer(known(PAYOUT)), answer(known(PAYOUT, status="done", paid="1000.44")))
    shop.hub.create_payout("shop", PAYOUT)
    age(shop.journal, days=10)
    late = shop.hub.health()
    assert (False, 1, Key("shop", "payout", "po-1")) == (late.healthy, late.overdue, late.oldest)
    assert ["po-1"] == [record.facts.order_id for record in shop.journal.unsettled(3600.0, 9)]
    shop.hub.sweep()
    assert (True, ()) == (shop.hub.health().healthy, shop.journal.unsettled(0.0, 9))


@pytest.mark.parametrize("seconds", [60.0, 7200.0])
def test_the_limits_are_the_callers(open_shop: OpenShop, seconds: float) -> None:
    """For how long is too long, a program says itself."""
    shop = open_shop(close)
    shop.hub.create_payout("shop", PAYOUT)
    age(shop.journal, hours=1)
    late = shop.hub.health(overdue=seconds, waiting=seconds)
    assert ((1, 1) if seconds < 3600 else (0, 0)) == (late.overdue, late.waiting)


def test_a_mark_is_not_taken_for_a_key(kept: SqlJournal) -> None:
    """A journal that was only swept was not begun with a key."""
    kept.note_sweep()
    assert not kept.has_key()
    assert kept.health(1.0, 1.0).swept_at is not None


def test_what_a_person_has_settled_waits_for_nobody(journal: Journal) -> None:
    """An order that was unknown for long, and that a person has settled, is healthy."""
    brought(journal, State.UNKNOWN)
    journal.settle(key(), found(State.FAILED, Source.OPERATOR, reason="so"), LATER, by="ann")
    age(journal, hours=2)
    assert 0 == journal.health(1e6, 3600.0).waiting
