"""What is looked for is found, and what need not be kept can be deleted; the money facts stay."""

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from payhub import Exchange, Money, Payer, PaymentOrder, PayoutOrder, ToBankAccount, ToCard, ToPhone
from payhub.journal import Erasure, Journal, OrderFilter, Record, Source, State
from payhub.journal.sql import SqlJournal
from payhub.plans.identity import payer_key
from tests.plain_account import facts as facts_of
from tests.raw_server import answer
from tests.samples import PAYMENT, PAYOUT, known

from .conftest import KEY, OpenShop
from .making import LATER, brought, exchange, facts, found, key
from .test_notices import notice

RUB = Money("1000.44", "RUB")
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SECRET = KEY.encode()


def kept(journal: Journal, order_id: str = "po-1") -> list[Exchange]:
    return [entry.exchange for entry in journal.story(order_id)[1] if entry.exchange]


def closed(journal: Journal, order_id: str = "po-1", state: State = State.SUCCEEDED, **fields: Any) -> Record:
    """Keep an order with one old exchange and one of now."""
    journal.open(facts(order_id, **fields), 60.0)
    old = msgspec.structs.replace(exchange("old"), started_at=LONG_AGO)
    said = found(state, Source.ANSWER, reason="as it was", redirect_url="https://pay.example/u-881", provider_id="7")
    return journal.settle(key(order_id), said, LATER, [old, exchange("new")])


# Finding


def test_an_order_is_found_by_the_providers_id(journal: Journal) -> None:
    """The provider's own id is enough."""
    closed(journal)
    brought(journal, State.PENDING, "po-2")
    assert ["po-1"] == [record.facts.order_id for record in journal.search(OrderFilter(provider_id="7"), 10)]
    assert () == journal.search(OrderFilter(provider_id="8"), 10)


def test_an_order_is_found_by_last4_amount_and_day(journal: Journal) -> None:
    """What a customer knows: the card's last four, how much, and when."""
    for number, (tail, amount) in enumerate((("1111", "5"), ("1111", "6"), ("2222", "5"), (None, "5"))):
        journal.open(facts(f"po-{number}", tail=tail, amount=Money(amount, "RUB")), 60.0)
    today = dt.datetime.now(dt.UTC).date()

    def search(**wanted: Any) -> list[str]:
        return [record.facts.order_id for record in journal.search(OrderFilter(**wanted), 10)]

    assert ["po-1", "po-0"] == search(tail="1111")
    assert ["po-0"] == search(tail="1111", amount=Money("5.00", "RUB"), day=today)
    assert [[], []] == [search(amount=Money("5", "USD")), search(tail="1111", day=today - dt.timedelta(days=1))]


def test_the_newest_come_first_and_no_more_than_asked(journal: Journal) -> None:
    """A search is bounded."""
    for number in range(5):
        journal.open(facts(f"po-{number}", tail="1111"), 60.0)
    assert ["po-4", "po-3"] == [record.facts.order_id for record in journal.search(OrderFilter(tail="1111"), 2)]


@pytest.mark.parametrize(
    ("to", "tail"),
    [
        (ToCard("4111111111111111"), "1111"),
        (ToPhone("79991234567"), "4567"),
        (ToBankAccount("40817810099910004312"), "4312"),
        (ToPhone("12345678"), None),
    ],
)
def test_what_is_kept_of_a_number_is_what_a_mask_shows(to: Any, tail: str | None) -> None:
    """Rule 12: the last four, and of a short number nothing."""
    order = PayoutOrder(order_id="po-1", amount=RUB, to=to)
    assert tail == facts_of("shop", "fake", order, SECRET).tail


def test_the_payers_id_is_kept_only_with_the_key() -> None:
    """Without the key nobody can tell whose order it is; the same payer is the same under the same key."""
    orders = [PaymentOrder(order_id=o, amount=RUB, method="card", payer=Payer(id="u-881")) for o in ("in-1", "in-2")]
    first, second = (facts_of("shop", "fake", order, SECRET).payer for order in orders)
    other = facts_of("shop", "fake", orders[0], b"another").payer
    assert first == second == payer_key(SECRET, "u-881")
    assert other != first
    assert None is facts_of("shop", "fake", PAYOUT, SECRET).payer


# Following


def test_exchanges_are_told_in_the_order_they_were_kept(journal: Journal) -> None:
    """The newest, or those after one that was seen."""
    for number in range(3):
        closed(journal, f"po-{number}")
    newest = journal.exchanges(2)
    rest = journal.exchanges(100, after=newest[0][0])
    assert ["new"] == [entry.exchange and entry.exchange.problem for _, entry in rest]
    assert newest[1:] == rest
    assert () == journal.exchanges(100, after=rest[-1][0])
    assert {f"po-{number}" for number in range(3)} == {e.key.order_id for _, e in journal.exchanges(100) if e.key}


# Pruning


def test_old_exchanges_of_closed_orders_are_deleted(journal: Journal) -> None:
    """Newer ones stay, and so does everything else of the order."""
    before = closed(journal)
    assert (1, 0) == (journal.prune(dt.datetime.now(dt.UTC) - dt.timedelta(days=1), 100), journal.prune(LONG_AGO, 100))
    assert (["new"], before) == ([exchange.problem for exchange in kept(journal)], journal.find(key()))


@pytest.mark.parametrize("state", [State.PENDING, State.UNKNOWN, State.NEEDS_ATTENTION])
def test_the_exchanges_of_an_open_order_stay(journal: Journal, state: State) -> None:
    """Support will ask for them, however old they are."""
    closed(journal, state=state)
    assert (0, 2) == (journal.prune(dt.datetime.now(dt.UTC), 100), len(kept(journal)))


def test_pruning_goes_in_parts(journal: Journal) -> None:
    """No more is deleted in one transaction than asked for."""
    for number in range(3):
        closed(journal, f"po-{number}")
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    assert [2, 1, 0] == [journal.prune(yesterday, 2) for _ in range(3)]


def test_what_is_not_to_be_kept_is_not_kept(open_shop: OpenShop) -> None:
    """With `keep_exchanges = "0s"` the journal has orders and evidence, and no exchange."""
    shop = open_shop(answer(known(PAYOUT)), journal={"keep_exchanges": "0s"})
    shop.hub.create_payout("shop", PAYOUT)
    told = [entry.what for entry in shop.journal.story("po-1")[1]]
    assert ["evidence", "evidence"] == told


# Forgetting


def test_a_payer_is_forgotten_but_for_the_money(journal: Journal) -> None:
    """What was asked, paid and answered stays; what may tell who it was goes."""
    before = closed(journal, payer="p" * 64, tail="1111")
    closed(journal, "po-2", payer="q" * 64)
    journal.keep_notification(notice(), 60.0, 30.0)
    assert Erasure(1, 0) == journal.forget("p" * 64)
    after = journal.find(key())
    assert after is not None
    gone = {"redirect_url": None, "reason": None, "notified": after.notified, "quiet_until": after.quiet_until}
    bare = msgspec.structs.replace(before.facts, payer=None, tail=None)
    assert after == msgspec.structs.replace(before, facts=bare, due_at=after.due_at, **gone)
    (told,) = journal.notifications(10)
    assert (0, 2, {}) == (len(kept(journal)), len(kept(journal, "po-2")), dict(told.content.fields))
    said = [e.evidence for e in journal.story("po-1")[1] if e.evidence and e.evidence.source is Source.ANSWER]
    assert [(State.SUCCEEDED, None, None, "7")] == [(s.state, s.reason, s.redirect_url, s.provider_id) for s in said]


def test_an_open_order_is_forgotten_later(journal: Journal) -> None:
    """While a person may have to look, nothing is erased, and it is said how many wait."""
    closed(journal, payer="p" * 64)
    closed(journal, "po-2", State.PENDING, payer="p" * 64)
    assert (Erasure(1, 1), 2) == (journal.forget("p" * 64), len(kept(journal, "po-2")))


def test_forgetting_twice_forgets_nobody(journal: Journal) -> None:
    """What was forgotten is not found again, and another payer's orders are not touched."""
    closed(journal, payer="p" * 64)
    assert [Erasure(1, 0), Erasure(0, 0)] == [journal.forget("p" * 64) for _ in range(2)]


def test_the_same_order_is_known_after_its_payer_was_forgotten(journal: Journal) -> None:
    """Rule 1: an order_id stands for one order, whatever is deleted."""
    closed(journal, payer="p" * 64)
    journal.forget("p" * 64)
    assert not journal.open(facts(payer="p" * 64), 60.0).yours


def test_a_forgotten_payer_is_not_in_the_files(tmp_path: Path) -> None:
    """SQLite overwrites what it deletes: nothing of it is left in any of its files, though the journal is open."""
    journal = SqlJournal(f"sqlite:///{tmp_path}/payhub.db")
    closed(journal, payer="p" * 64)
    personal = (b"u-881", b"as it was", b"411111******1111", b"p" * 64)
    before, _, after = _written(tmp_path), journal.forget("p" * 64), _written(tmp_path)
    assert [True] * 4 == [word in before for word in personal]
    assert [False] * 4 == [word in after for word in personal]
    assert b"po-1" in after
    journal.close()


def _written(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


def test_the_hub_keeps_whose_payment_it_was(open_shop: OpenShop) -> None:
    """A payment made through the hub is found by its payer."""
    shop = open_shop(answer(known(PAYMENT)))
    shop.hub.create_payment("shop", msgspec.structs.replace(PAYMENT, payer=Payer(id="u-881")))
    assert Erasure(0, 1) == shop.journal.forget(payer_key(SECRET, "u-881"))
