"""What is written down can always be read, also when its currency has left ISO 4217."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from payhub import Money, Status, ToCard
from payhub.journal import NotificationContent, OrderFilter, Source, State
from payhub.journal.sql import SqlJournal
from payhub.journal.sql.tables import tables
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place
from .making import LATER, NOW, PREFIX, facts, found, key

GONE = "HRK"
WAS = "EUR"


@pytest.fixture
def url(place: Place) -> str:
    """Keep orders in each kind of database."""
    return place.url


@pytest.fixture
def old(kept: SqlJournal) -> SqlJournal:
    """Give a journal with an order, and all that can be kept of one, in a currency that is no more."""
    amount = Money("500.10", WAS)
    kept.open(facts(amount=amount, payer="p" * 64), 60.0)
    kept.settle(key(), found(State.PENDING, Source.ANSWER, paid=amount), NOW)
    notice = {"account": "shop", "provider": "fake", "kind": "payout", "provider_id": "7", "digest": "d"}
    words = {"state": State.SUCCEEDED, "provider_status": "paid", "paid": amount, "requested": amount}
    kept.keep_notification(NotificationContent(order_id="po-1", **notice, **words), 60.0, -1.0)  # type: ignore[arg-type]
    kept.settle(key(), found(State.NEEDS_ATTENTION, paid=amount, credited=amount, commission=amount), NOW)
    dropped(kept)
    return kept


def dropped(journal: SqlJournal) -> None:
    """Let the currency of all that is kept be one that the standard no longer has."""
    t = tables(PREFIX)
    with journal.database.engine.begin() as connection:
        connection.execute(sa.update(t.orders).where(t.orders.c.currency == WAS).values(currency=GONE))
        for table in (t.evidence, t.notifications):
            connection.execute(sa.update(table).values(body=sa.func.replace(table.c.body, WAS, GONE)))


def gone(amount: str) -> Money:
    """Make an amount in the currency that is no more, as only the journal may."""
    return Money.as_written(amount, GONE)


READS: dict[str, Callable[[SqlJournal], Any]] = {
    "find": lambda journal: journal.find(key()),
    "open": lambda journal: journal.open(facts(), 60.0).record,
    "unsettled": lambda journal: journal.unsettled(0.0, 9)[0],
    "search": lambda journal: journal.search(OrderFilter(provider_id=None), 9)[0],
    "story": lambda journal: journal.story("po-1")[0][0],
    "judge_notifications": lambda journal: journal.judge_notifications(key(), dt.datetime.now(dt.UTC)),
    "settle": lambda journal: journal.settle(key(), found(State.SUCCEEDED, Source.OPERATOR, reason="r"), NOW, by="a"),
}


@pytest.mark.parametrize("name", READS)
def test_an_order_is_read(old: SqlJournal, name: str) -> None:
    """Every way to an order gives it with its amounts, as they were written."""
    record = READS[name](old)
    assert (gone("500.10"), gone("500.10"), "500.10 HRK") == (record.facts.amount, record.paid, str(record.paid))


def test_its_story_is_read(old: SqlJournal) -> None:
    """So is all that happened to it."""
    entries = old.story("po-1")[1]
    amounts: list[Any] = [entry.evidence.paid for entry in entries if entry.evidence and entry.evidence.paid]
    amounts += [entry.notification.content.paid for entry in entries if entry.notification]
    assert [gone("500.10")] * 3 == amounts
    assert [gone("500.10")] == [stored.content.requested for stored in old.notifications(9)]


def test_its_payer_is_forgotten(old: SqlJournal) -> None:
    """What is kept of it can be erased."""
    old.settle(key(), found(State.SUCCEEDED, Source.OPERATOR, reason="r"), NOW, by="anna")
    assert (1, 0) == old.forget("p" * 64)
    assert gone("500.10") == old.story("po-1")[0][0].facts.amount


def test_one_such_order_stops_no_sweep(open_shop: OpenShop, kept: SqlJournal) -> None:
    """Orders in other currencies are asked about; of this one the answer is not understood, and it is due again."""
    other = msgspec.structs.replace(PAYOUT, order_id="po-gone", amount=Money("5", WAS), to=ToCard("5555555555554444"))
    replies = [known(other), known(PAYOUT), known(other, currency=GONE), known(PAYOUT, status="done", paid="1000.44")]
    shop = open_shop(*map(answer, replies))
    for order in (other, PAYOUT):
        shop.hub.create_payout("shop", order)
    dropped(kept)
    told = {result.order_id: result.status for result in shop.hub.sweep()}
    assert Status.SUCCEEDED is told["po-1"]
    record = kept.find(key("po-gone"))
    assert record is not None
    assert (State.PENDING, gone("5.00"), True) == (record.state, record.facts.amount, record.due_at is not None)
    assert "po-gone" in str(shop.hub.ticket("shop", "payout", "po-gone"))


def test_money_is_as_strict_as_ever(old: SqlJournal) -> None:
    """After a journal was read, no such amount can be made, nor one that is none."""
    old.story("po-1")
    for wrong in (lambda: Money("5", GONE), lambda: msgspec.convert({"amount": "5", "currency": GONE}, Money)):
        with pytest.raises(ValueError, match="not an ISO 4217 code"):
            wrong()
    with pytest.raises(ValueError, match="not a plain decimal"):
        Money.as_written("5e3", GONE)


AMOUNTS = [("500", 0), ("500", None), ("500.00", None), ("500.00000", 5), ("500", 18)]


@pytest.mark.parametrize("asked", AMOUNTS[1:])
@pytest.mark.parametrize("stored", AMOUNTS)
def test_equal_amounts_are_found(kept: SqlJournal, stored: tuple[str, int], asked: tuple[str, int]) -> None:
    """An order is found by its amount, with however many digits it was made."""
    kept.open(facts(amount=Money(stored[0], "RUB", stored[1])), 60.0)
    wanted = OrderFilter(amount=Money(asked[0], "RUB", asked[1]))
    assert [key()] == [record.facts.key for record in kept.search(wanted, 9)]
    kept.settle(key(), found(State.PENDING, Source.ANSWER), LATER)


def test_finer_amounts_stay_as_they_are(kept: SqlJournal) -> None:
    """What a provider counts finer than the standard is kept to the last digit."""
    made = kept.open(facts(amount=Money("500.125", "RUB", 3)), 60.0).record
    again = kept.find(key())
    assert again is not None
    assert (made.facts.amount, "500.125 RUB") == (again.facts.amount, str(again.facts.amount))
