"""A row that cannot be read holds up nobody else's order, and is named."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from payhub import JournalFailed, Status
from payhub.journal import OrderFilter
from payhub.journal.sql.tables import tables
from tests.raw_server import answer
from tests.samples import PAYOUT, known

from .conftest import OpenShop, Place, Shop
from .making import PREFIX

ORDERS = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in (1, 2, 3)]
DAMAGES = [{"amount": "1000,00"}, {"paid": "n/a"}, {"why": "no_such_word"}]
NAMED = r"the row of payout 'po-1' of account 'shop' cannot be read"


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture(params=DAMAGES, ids=str)
def shop(open_shop: OpenShop, place: Place, request: pytest.FixtureRequest) -> Shop:
    """Open a shop with three open orders that are due, the first of which somebody has changed by hand."""
    created = [answer(known(order)) for order in ORDERS]
    done = [answer(known(order, status="done", paid="1000.44")) for order in ORDERS[1:]]
    shop = open_shop(*created, *done, schedule={"first": 3600.0})
    for order in ORDERS:
        shop.hub.create_payout("shop", order)
    orders = tables(PREFIX).orders
    with place.engine().begin() as connection:
        connection.execute(sa.update(orders).values(due_at=orders.c.id))
        connection.execute(sa.update(orders).where(orders.c.order_id == "po-1").values(request.param))
    return shop


def test_a_sweep_goes_on_without_it(shop: Shop) -> None:
    """The sweep asks about the others, names the one in the log, and is not in its way again at once."""
    with capture_logs() as logs:
        swept = [[(each.order_id, each.status) for each in shop.hub.sweep()] for _ in range(2)]
    assert [[("po-2", Status.SUCCEEDED), ("po-3", Status.SUCCEEDED)], []] == swept
    errors: list[Any] = [log for log in logs if log["log_level"] == "error"]
    assert [("payhub.sweep_failed", "shop", "payout", "po-1")] == [
        (log["event"], log["account"], log["kind"], log["order_id"]) for log in errors
    ]


def test_rule_1_it_is_not_sent_and_says_why(shop: Shop) -> None:
    """Whatever is about this order raises an error of payhub's that names it; nothing is sent."""
    before = shop.sent
    for act in (
        lambda: shop.hub.create_payout("shop", PAYOUT),
        lambda: shop.hub.advance("shop", "payout", "po-1"),
        lambda: shop.hub.find("payout", "po-1"),
        lambda: shop.hub.ticket("shop", "payout", "po-1"),
        lambda: shop.hub.resolve("shop", "payout", "po-1", "failed", reason="phone", by="anna"),
    ):
        with pytest.raises(JournalFailed, match=NAMED):
            act()
    assert before == shop.sent


def test_lists_go_on_without_it(shop: Shop, place: Place) -> None:
    """A search, and the list of what waits for a person, leave it out."""
    orders = tables(PREFIX).orders
    with place.engine().begin() as connection:
        connection.execute(sa.update(orders).values(contradicted=True))
    expected = {"po-2", "po-3"}
    found = shop.journal.search(OrderFilter(tail="1111"), 10), shop.journal.unsettled(0.0, 10)
    assert (expected, expected) == tuple({record.facts.order_id for record in each} for each in found)
