"""Rules 2 and 3 over two accounts, with threads and event loops, in each kind of database; see test_switching.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from payhub import ConfigurationError, Status, ToBankAccount, ToCard, ToPhone
from payhub.errors import JournalFailed
from tests.raw_server import Act, answer, close
from tests.samples import PAYOUT, known
from tests.test_switching import BROKEN, GONE, Serve, accepting, paid_by_loop, sent

from .conftest import KEY, Place

Open = Callable[..., Any]


def tables(place: Place, **urls: str) -> dict[str, Any]:
    accounts = {name: {"provider": "fake", "base_url": url} for name, url in urls.items()}
    return {"accounts": accounts, "journal": {"url": place.url, "key": KEY}}


def test_rule_2_a_redelivered_order_stays_where_it_is(open_hub: Open, serve: Serve, place: Place) -> None:
    """The first delivery could not reach `a` and was paid with `b`; at the second one `a` is up again."""
    a, b = accepting(serve), accepting(serve)
    results = [paid_by_loop(open_hub(**tables(place, a=url, b=b.url)), PAYOUT) for url in (GONE, a.url)]
    assert ([("b", Status.PENDING)] * 2, 0, 1) == (
        [(each.account, each.status) for each in results if each], sent(a), sent(b)
    )  # fmt: skip


@pytest.mark.parametrize("first", [close, answer(known(PAYOUT))], ids=["unknown", "pending"])
@pytest.mark.parametrize("what", BROKEN)
def test_rule_3_what_is_broken_now_sends_no_order_elsewhere(
    open_hub: Open, serve: Serve, place: Place, what: str, first: Act
) -> None:
    """Between two deliveries something breaks: the order is answered from its record."""
    a, b = serve(first), accepting(serve)
    configured = tables(place, a=a.url, b=b.url)
    before = paid_by_loop(open_hub(**configured), PAYOUT)
    configured = tables(place, a=a.url, b=b.url)
    BROKEN[what](configured)
    after = paid_by_loop(open_hub(**configured), PAYOUT)
    assert before is not None
    assert after is not None
    assert (("a", before.status), 1, 0) == ((after.account, after.status), sent(a), sent(b))


def test_rule_3_without_the_journal_nothing_is_sent_anywhere(open_hub: Open, serve: Serve, place: Place) -> None:
    """Where nobody can look what became of the order, no account gets it."""
    a, b = serve(close), accepting(serve)
    paid_by_loop(open_hub(**tables(place, a=a.url, b=b.url)), PAYOUT)
    nowhere = "sqlite:////proc/no/payhub.db" if place.backend == "sqlite" else "postgresql+psycopg://u@127.0.0.1:9/no"
    hub = open_hub(**tables(place._replace(url=nowhere), a=a.url, b=b.url))
    for account in ("a", "b"):
        with pytest.raises((JournalFailed, ConfigurationError)):
            hub.create_payout(account, PAYOUT)
    assert (1, 0) == (sent(a), sent(b))


@pytest.mark.parametrize(
    ("to", "again"),
    [
        (ToCard("4111111111111111"), ToCard("4111 1111-1111\u20111111")),
        (ToPhone("79031112233", bank_code="1"), ToPhone("+7 (903) 111-22-33", bank_code="1")),
        (ToBankAccount("40817810000000000001", bic="1"), ToBankAccount("40817 810 0 0000 0000001", bic="1")),
    ],
    ids=["card", "phone", "account"],
)  # fmt: skip
def test_rule_2_an_order_written_otherwise_is_not_paid_elsewhere(
    open_hub: Open, serve: Serve, place: Place, to: Any, again: Any
) -> None:
    """The answer was lost, and a new release of the shop writes the number, and its own address, in another way."""
    a, b = serve(close), accepting(serve)
    orders = [
        msgspec.structs.replace(PAYOUT, to=to, notification_url="https://shop.example/v1"),
        msgspec.structs.replace(PAYOUT, to=again, notification_url="https://shop.example/v2"),
    ]
    results = [paid_by_loop(open_hub(**tables(place, a=a.url, b=b.url)), order) for order in orders]
    assert ([("a", Status.UNKNOWN)] * 2, 1, 0) == (
        [(each.account, each.status) for each in results if each], sent(a), sent(b)
    )  # fmt: skip


def test_rule_2_deliveries_at_once_are_paid_once(open_hub: Open, serve: Serve, place: Place) -> None:
    """Each order comes to two workers at once, and one of them cannot reach `a`."""
    orders = [msgspec.structs.replace(PAYOUT, order_id=f"po-{number}") for number in range(20)]
    a, b = accepting(serve, 40), accepting(serve, 40)
    hubs = [open_hub(**tables(place, a=url, b=b.url)) for url in (a.url, GONE)]
    with ThreadPoolExecutor(2) as workers:
        for order in orders:
            list(workers.map(lambda hub, order=order: paid_by_loop(hub, order), hubs))
    bodies = [msgspec.json.decode(r.body)["order_id"] for s in (a, b) for r in s.requests if r.path == "/payouts"]
    assert sorted(order.order_id for order in orders) == sorted(bodies)
